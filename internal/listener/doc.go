// Package listener answers DNS questions over UDP and TCP.
//
// It reads messages, judges what needs no resolving (clients that are not
// allowed, malformed or unsupported queries, class CH, cookies), asks its
// [Resolver] for the rest, and writes replies within the size that the client
// takes. It does not know how an answer is found, holds no data, and never
// answers a response.
//
// # The way of a question
//
// Each UDP socket has one goroutine that owns a [worker] and its buffers:
// queries come in batches, what is cached is answered from the same loop
// without allocating and without a lock that other sockets share. What is not
// cached is copied into a [pending] question with a goroutine of its own,
// within the bounds of [Limits]. A TCP connection has one goroutine that reads
// and answers what is cached; a worker with its buffers is lent to it while there is
// something to read, so that an idle connection costs little.
//
// # Bounds
//
// Questions that wait for a resolution: [Limits].Waiting in all,
// WaitingPerClient for one client (an IPv4 address or an IPv6 /64). At the
// bound a UDP question is dropped (a spoofed source must not make us send), and
// one over TCP gets SERVFAIL; both are counted. Connections: when all are
// taken, the one that was idle longest is closed for the new one, first of
// clients who hold many (TestSiege); when none is idle or stuck in writing, the
// new one is refused. A connection that owes
// replies holds buffers of at most about 100 KiB, an idle one none on Linux, about
// 1 KiB elsewhere.
package listener
