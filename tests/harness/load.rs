//! Mixed load: some workers keep their connections, others open one for every call. Failures are recorded.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use spike_mtls::client::NexusClient;
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

use crate::secrets;

/// The pause of a worker between two calls, so that a small machine keeps its deadlines.
const PACE: Duration = Duration::from_millis(1);

/// The most failures whose text is kept.
const TOLD: usize = 20;

/// Makes a client with connections of its own.
type NewClient = Arc<dyn Fn() -> Result<NexusClient> + Send + Sync>;

/// The results of a load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Successful calls on kept connections.
    pub kept: u64,
    /// Successful calls on connections of their own.
    pub new: u64,
    /// Failed calls.
    pub failed: u64,
    /// The texts of the first failures.
    pub failures: Vec<String>,
}

/// A load that goes on until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
    tally: Arc<Mutex<Tally>>,
}

/// Whether a worker keeps its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connections {
    Kept,
    New,
}

impl Load {
    /// Starts `kept` workers that keep their connections and `new` ones that open one for every call. Each repeatedly puts a
    /// secret to its own path and reads it back. After a failure a worker goes on.
    pub fn start(
        kept: usize,
        new: usize,
        client: impl Fn() -> Result<NexusClient> + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let client: NewClient = Arc::new(client);
        let mut workers = JoinSet::new();
        for number in 0..kept + new {
            let connections = if number < kept { Connections::Kept } else { Connections::New };
            let worker = Worker {
                path: format!("load/{number}"),
                connections,
                client: Arc::clone(&client),
                tally: Arc::clone(&tally),
            };
            workers.spawn(worker.run(stopped.clone()));
        }
        Self { stop, workers, tally }
    }

    /// The results so far.
    pub async fn tally(&self) -> Tally {
        self.tally.lock().await.clone()
    }

    /// Lets every worker finish its call, and returns all results.
    pub async fn finish(self) -> Tally {
        let Self { stop, workers, tally } = self;
        stop.send_replace(true);
        workers.join_all().await;
        tally.lock().await.clone()
    }
}

struct Worker {
    path: String,
    connections: Connections,
    client: NewClient,
    tally: Arc<Mutex<Tally>>,
}

impl Worker {
    async fn run(self, stopped: watch::Receiver<bool>) {
        let mut kept = None;
        let mut round = 0_u64;
        while !*stopped.borrow() {
            round += 1;
            let done = self.one_round(&mut kept, round).await;
            let mut tally = self.tally.lock().await;
            match (done, self.connections) {
                (Ok(()), Connections::Kept) => tally.kept += 2,
                (Ok(()), Connections::New) => tally.new += 2,
                (Err(error), connections) => {
                    tally.failed += 1;
                    if tally.failures.len() < TOLD {
                        let path = &self.path;
                        tally.failures.push(format!("{connections:?} {path} {round}: {error:#}"));
                    }
                }
            }
            drop(tally);
            tokio::time::sleep(PACE).await;
        }
    }

    /// One put, and one get that must return the same value.
    async fn one_round(&self, kept: &mut Option<NexusClient>, round: u64) -> Result<()> {
        let value = round.to_string();
        let client = self.client(kept)?;
        client.put_secret(&secrets::put(&self.path, &[("round", &value)])).await?;
        let client = self.client(kept)?;
        let read = secrets::value_of(&client, &self.path, 0, "round").await?;
        ensure!(read == value, "read {read} after {value} was put");
        Ok(())
    }

    fn client(&self, kept: &mut Option<NexusClient>) -> Result<NexusClient> {
        match (self.connections, &kept) {
            (Connections::New, _) => (self.client)(),
            (Connections::Kept, Some(client)) => Ok(client.clone()),
            (Connections::Kept, None) => {
                let client = (self.client)()?;
                *kept = Some(client.clone());
                Ok(client)
            }
        }
    }
}
