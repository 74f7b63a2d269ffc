// Package cache holds what was learnt: RRsets and denials as whole units by
// (name, type), and in tables of their own the delegations and the failures.
//
// All memory is bounded by one byte budget. Entries lie serialised in slabs
// without pointers; a lookup that finds something takes no lock and allocates
// nothing. Newer knowledge evicts what contradicts it, and a failure can never
// touch data: the two have no table in common. Nor has what failed validation
// one with it: a small table for those who ask with CD=1. What secure denials were
// proven by stands in an index as well, in the order of the zones' names, where those
// of other names are found (ranges.go).
//
// What expired stays as long as package stale said when it was stored: entries,
// and delegations too. Lookups find it, and its state says what it is; in an
// outage the order of eviction keeps what is asked for (evict.go, hand.go).
//
// The package composes no replies, asks nobody, and decides nothing about stale
// answers: it stores the stale-until that package stale gave and asks that
// package what an entry is, and whether it is due to be refreshed ahead of its
// end. It reads no clock; every method is told the time.
package cache
