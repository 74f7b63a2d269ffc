// Package world plays random worlds to the whole program and judges every reply.
// It holds tests only; nothing may import it.
//
//	go test ./world                                       200 worlds, some played twice
//	go test ./world -run TestWorlds -world.seed=N         one again; -world.watch=NAME shows its messages
//	make worlds                                           a million questions, and bugs planted
//
// # A world
//
// generate makes a plan of a seed: data about a tree of zones, their servers,
// what changes when, who misbehaves when, and who asks what when. player plays it
// on internal/simnet with internal/simauth around the real app, in a synctest
// bubble. Nothing that happens is chosen while playing except as a function of
// the seed and the moment, so that a plan plays alike each time; what is left to
// the scheduler is the order of things that happen at one instant, and hear and
// filter keep instants apart. TestReplay says how well that works: of twenty worlds
// or so, one has flights that wait for the same thing and go on at one instant, and
// then goes now one way, now another.
//
// # What is true
//
// history knows what every server had at every moment. A resolver cannot know
// more than servers tell it, so truth is per server: a record set is true when a
// server that could be believed says so. Who can be believed for what is worked
// out from the root down (history.believe): the hints for the root; for a zone
// those whom a believed server of a zone above refers to, for as long as the NS
// records' TTL, capped by cache.max-ttl, and no longer than the delegation above
// where that is deeper than a top-level domain (no ghost domains). Name servers'
// names lead to the addresses that glue or their own zone gives them, for as long
// as those records' own TTL. Old servers of a zone that moved are therefore believed, with
// their old data, until the delegation to them has run out, and not a moment
// longer; a child's own NS records give no right at all.
//
// # What a reply must be
//
// Every record set, hop by hop, and every denial by its SOA record (whose serial
// number names one version of one zone) must have been said by a believed server
// at the moment that its TTL tells: what is left of the original TTL, capped,
// says when it was learnt, to the second. So a TTL may neither be ignored nor told
// too long, and neither may it be cut short. Chains are whole, in order, at most
// eleven aliases; nothing else is in the message. What liars say (records of zones
// not theirs, forged replies with wrong ids or from elsewhere) has data of its own
// and must never appear. A failure must have an excuse (judge.excuse): for all
// that the resolver could know, some zone on the way had no server that would
// have helped while it was asked; or aliases lead in a circle; or a bound was hit
// and told of as an event; or a failure is remembered, no longer than one second,
// doubling to five minutes; or a zone's, whose parent is asked anew every 30 s only. A question that was alone cost no more upstream
// queries than its budget. There is always a reply. At the end the program stops,
// and no goroutine (the bubble sees to that) and no socket is left.
//
// # Stale answers
//
// What a reply tells need not be what it says of itself. A record set is fresh
// when a believed server that was heard at the moment that its TTL tells said it;
// else it may be the last good answer: told with the answer TTL (never more than
// its own was), said by a believed server that was heard at a moment from which it
// has expired, no longer ago than the limit, and later than whatever replies before
// the question told of the same name (judged.since: what was replaced is not
// brought back). Delegations and name servers' addresses that have expired may lead
// to servers for as long; what is learnt by those lives for the answer TTL at most.
//
// A reply with something stale in it must say so by EDE 3 or 19, and only such a
// reply; and there must be an excuse for a stale hop (judged.staleExcuse): no useful
// answer was found between the question and the reply, and its servers do not help
// or did not until 40 s ago (rechecks and slow start), or its question's last
// attempt failed no longer than five minutes ago, or one at its zone did and nobody
// was told so since, or the client waited for the
// client timeout, counted from the beginning of an attempt that was under way.
//
// And the reverse (judge.withheld): a failure although a whole answer was told as
// fresh before, nothing of it is gone, and all that could be learnt of its names
// since is the same. Worlds with a small cache are excepted, for it may be full.
//
// # Leniency, and why
//
//   - Something may be stored 13 s after it stopped being true where a fault was
//     about, 4 s otherwise: a reply may be slow, and what a resolution learns is
//     stored when it ends.
//   - A server that has two zones may deny from the upper one what it was led to by
//     an alias in it, as servers do; the root's denial of a name's upper part is
//     taken for the whole name, as the program's documentation has it.
//   - A denial without SOA record is accepted while a fault leaves SOA records out,
//     or when it is that of a zone above the one asked for: zones that were joined.
//   - A server may lie about its own zones: what the fault nxdomain-ent denies is
//     denied for an hour. Root servers are spared that fault, and servers of two
//     zones on one way that of referring to themselves: nobody could see through it.
//   - Where the resolver may still hold an old delegation whose servers do not
//     help, a failure is excused as "moved"; where servers lose packets or answer
//     late ("lossy"), by chance. counts.varied bounds how often, so that an excuse
//     cannot take over.
//   - While some server is slow, and for 40 s after, it excuses something stale: a
//     server whose round trip grows many times over is suspect until its late reply
//     is there, and again for the next question.
//   - That a server was heard is known for the server, not for the question.
//   - Which of a fault's harmless words a resolver must cope with is a list
//     (harmless); a server with any other fault counts as no help, and neither does
//     one with two faults that each want to be asked in another way: three sendings
//     (RFC 9520 §3.1) may be too few.
//
// # Whether the oracle can fail
//
// TestOracleBites puts proxies between program and clients that ignore TTLs,
// believe lies, or deny the wrong type; TestPlanted makes these and other mistakes in
// a copy of the program: no limit of what is stale, stale though the servers answer,
// a part of a chain, a failure in the place of the last good answer, the answer TTL
// written back. Each must be found. counts.varied fails when the worlds lose their
// variety.
//
// # What it does not cover
//
// Forward and stub zones, DNSSEC, strict and no minimisation, other limits than
// the defaults, RD=0, pipelined TCP, address families switched off.
package world
