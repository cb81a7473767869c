module github.com/spiffe/spike-rs/tests/benches/throughput/go-client

go 1.25
