// Package cache holds what was learnt: RRsets and denials as whole units by
// (name, type), and in tables of their own the delegations and the failures.
//
// All memory is bounded by one byte budget. Entries lie serialised in slabs
// without pointers; a lookup that finds something takes no lock and allocates
// nothing. Newer knowledge evicts what contradicts it, and a failure can never
// touch data: the two have no table in common.
//
// The package composes no replies, asks nobody, and decides nothing about stale
// answers: it stores the stale-until that package stale gave and asks that
// package what an entry is. It reads no clock; every method is told the time.
package cache
