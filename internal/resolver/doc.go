// Package resolver answers clients' questions. It is where cache, iterator and
// stale policy (later the validator too) meet; it knows no sockets.
//
// # One question's life
//
// A client asks for www.shop.example. A, which is an alias of a name in
// another zone.
//
//  1. The listener reads the datagram and calls [Resolver.Cached] with the
//     question and a half-written reply. Were every hop in the cache and fresh,
//     the records would go straight from the cache into the reply, and that
//     would be all: no allocation, no lock. One that is asked for often and about
//     to expire is offered to [Resolver.Run], which refreshes it (prefetch.go).
//  2. The alias is there, its target has expired. Cached takes back what it
//     wrote, and the listener hands the question to [Resolver.Resolve], on a
//     goroutine of the client's own.
//  3. Names that must not leak are answered here (special.go), questions
//     without RD from the cache or not at all, ANY with one made-up record.
//  4. A trail follows the chain, a hop at a time: what the cache has fresh is
//     taken ([trail.known]), also what is proven of other names (aggressive.go). For the rest there is an attempt: it gathers what is
//     known (what the cache has past its TTL, remembered failures of the question
//     and trouble of its zone, how long clients wait) and does what stale.Decide
//     says of it: wait for a flight, give the last good answer, or fail ([trail.hop]).
//  5. A flight is one resolution of one hop. The table of flights has one for
//     every (name, type), so ten thousand clients who want the same name board
//     the same one. It has its own deadline: clients come and go, with a stale
//     answer too, the flight goes on, and what it finds is cached even if nobody
//     waits any more. Its goroutine is that of the client who wanted it first, if
//     he is sure to wait until its end ([Query].Stays, and nothing stale to give).
//  6. The flight asks the iterator, which walks down the delegations. When it
//     needs a name server's address it comes back through
//     [Resolver.Addresses]: that is a flight as well, and the first one waits
//     for it. Who waits for whom is a graph under the same lock as the table;
//     a wait that would close a circle is refused, so no two flights ever wait
//     for each other.
//  7. The flight lands: useful answers go to the cache, a failure to the table
//     of failures and never over data ([Resolver.keep], [Resolver.remember]).
//     Everybody aboard goes on with their own trail.
//  8. The chain is complete. If something better came for a stale hop while another
//     was waited for, the trail begins anew ([trail.overtaken]); if a hop is past its
//     TTL, that is said and told once for all ([trail.tellStale]). The listener writes it with [Answer.Write],
//     CNAMEs first, in chain order. It is answered whole or not at all.
//
// # In an outage
//
// While a zone's servers are known not to answer, its expired names are answered
// without waiting and without asking; each such answer says that the zone is
// wanted, and [Resolver.Run] sends the rechecks that infra plans. Whoever sees the
// trouble ended, by a recheck or by an answer, clears what was held against names
// beneath it, and its refreshes begin slowly (ramp.go).
//
// # Bounds
//
// One question's flights share a budget of upstream queries, and a chain has a
// greatest length; a flight and a client's wait have a deadline; name servers'
// names may depend on each other to a given depth; the table of flights has a
// greatest size. So have the queues of slow starts and of prefetching, and what
// they have under way. What happens at each bound is told as an [event.BudgetHit] and
// counted in [Stats].
package resolver
