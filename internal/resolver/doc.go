// Package resolver answers clients' questions. It is where cache, iterator and
// (in later versions) stale policy and validator meet; it knows no sockets.
//
// # One question's life
//
// A client asks for www.shop.example. A, which is an alias of a name in
// another zone.
//
//  1. The listener reads the datagram and calls [Resolver.Cached] with the
//     question and a half-written reply. Were every hop in the cache and fresh,
//     the records would go straight from the cache into the reply, and that
//     would be all: no allocation, no lock.
//  2. The alias is there, its target is not. Cached takes back what it wrote,
//     and the listener hands the question to [Resolver.Resolve], on a
//     goroutine of the client's own.
//  3. Names that must not leak are answered here (special.go), questions
//     without RD from the cache or not at all, ANY with one made-up record.
//  4. A trail follows the chain, a hop at a time: what the cache has is taken
//     ([trail.known]), a remembered failure ends it at once ([trail.remembered],
//     RFC 9520), and what is missing is left to a flight ([Resolver.fly]).
//  5. A flight is one resolution of one hop. The table of flights has one for
//     every (name, type), so ten thousand clients who want the same name board
//     the same one. It has its own deadline: clients come and go, the flight
//     goes on, and what it finds is cached even if nobody waits any more.
//  6. The flight asks the iterator, which walks down the delegations. When it
//     needs a name server's address it comes back through
//     [Resolver.Addresses]: that is a flight as well, and the first one waits
//     for it. Who waits for whom is a graph under the same lock as the table;
//     a wait that would close a circle is refused, so no two flights ever wait
//     for each other.
//  7. The flight lands: useful answers go to the cache, a failure to the table
//     of failures and never over data ([Resolver.keep], [Resolver.remember]).
//     Everybody aboard goes on with their own trail.
//  8. The chain is complete: the listener writes it with [Answer.Write], CNAMEs
//     first, in chain order. It is answered whole or not at all.
//
// # Bounds
//
// One question's flights share a budget of upstream queries, and a chain has a
// greatest length; a flight and a client's wait have a deadline; name servers'
// names may depend on each other to a given depth; the table of flights has a
// greatest size. What happens at each bound is told as an [event.BudgetHit] and
// counted in [Stats].
package resolver
