// Package dnssec is the arithmetic of DNSSEC: keys, digests, signatures and
// proofs of what does not exist (RFC 4034, 4035, 5155, 6840). Everything here is
// a function of its arguments; time is an argument too, in seconds since 1970
// modulo 2^32, as signatures tell it (RFC 4034 §3.1.5).
//
// All of it is costly, and its inputs come from whoever wants to cost us
// something: each operation is taken from a [Budget].
//
// # What it must not do
//
// It fetches nothing and decides nothing about chains of trust: package
// validator does. It stores nothing.
package dnssec
