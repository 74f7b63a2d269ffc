// Package simauth runs authoritative servers for tests, on the hosts of a
// simulated network: zones given as text or a whole [lab.World]. They record
// every query, misbehave on demand, and can be told what to say to a single
// question.
//
// Three ways to misbehave, from the coarse to the fine: an [authority.Fault] of
// a zone or server lasts until it is changed; a [Script] sees each query with
// the honest reaction to it and gives another; and simnet loses, delays and cuts
// whatever travels.
//
// # What it must not do
//
// It is for tests: no package of the product imports it.
package simauth
