//! The channel from end to end: real sockets, real peers, and peers that break every rule.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hostile_clients;
#[cfg(test)]
mod hostile_servers;
#[cfg(test)]
mod hybrid;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod pressure;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod torn;
