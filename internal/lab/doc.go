// Package lab is a small Internet: a root, top-level domains and a few dozen
// zones on servers near and far, good and bad.
//
// As data it is a [World], read from zone files, a table of servers and one of the
// zones that are signed, in the folder world; tests and benchmarks put it on a
// simulated network. As a running thing it is a [Lab]: every server on a loopback
// port of its own, with its latency and its faults. Servers keep their
// documentation addresses; a resolver reaches them through [Lab.Network], which
// maps those to the ports. Faults can be changed while it runs, from another
// process too.
//
// # What it must not do
//
// It resolves nothing and knows no resolver. It opens sockets on loopback
// addresses only.
package lab
