-- Rows that upstream's Nexus (commit 42547a7e) wrote under root key 0102..1f20: `app/db` put twice,
-- version 1 deleted, policy `web-read` put.
INSERT INTO secrets VALUES ('app/db', 1, x'06e7c50c4da1fa5f56008759',
x'55eabed6665354dbfc467fa17f6cd1e43405447fbaf63df5eb59b76963c676b7ff6b251e07c955c7692cef9a52b6d599cc8e89cd4894467ab249894f39349d77f335',
'2026-11-22 06:34:19.018713996+03:00', '2026-11-22 06:34:19.019719622+03:00');
INSERT INTO secrets VALUES ('app/db', 2, x'e7caadb91c84b925a5eeae12',
x'a258e324bc1c3ef4c2377b100f1338cd27d13d6654ff47716365cb9da93c52391a1ff7c118a8e062dd5a733a96a9616d2f',
'2026-11-22 06:34:19.019382071+03:00', NULL);
INSERT INTO secret_metadata (path, nonce, encrypted_current_version, encrypted_oldest_version,
encrypted_created_time, encrypted_updated_time, encrypted_max_versions) VALUES ('app/db',
x'94bf98584decb6f714d3fca2', x'c5045110bd7d305397fc119599a8bb40ac',
x'7df57841a5085dbbdcf738222207baf352', x'83db9a229363ef54797b8bc896006f720141fb89b0fe8419d0b5',
x'fb25af805a2b62f8da7252993ba8a6b428af90275ec2f0d073b2', x'383de28bbb4e6c0248a42138a00a8d17c1a5');
INSERT INTO policies VALUES ('web-read', x'e41de000996e27c645367ad7',
x'78677183a5693553a3180e46696587fa941d82ca580e509bbcb9b85375cc84dfc4982bcc1f74b19f24235b',
x'7875719aec217a4d3590649ca2982788e9cfcf280b3cf270',
x'5471608eef63391af80d48128e3f16b66920b4780c5dbb91d7', 1795318459, 1795318459);
