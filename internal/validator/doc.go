// Package validator tells what of an answer is to be believed (RFC 4035 §5): it
// builds the chain of trust from an anchor to the zone that signed, and verifies
// signatures and denials with the keys at its end.
//
// The links of the chain, DS and DNSKEY sets, come from a [Fetcher], judged as any
// other answer is: so the recursion of trust runs through whoever fetches, who
// caches them, and ends at an anchor. The validator keeps nothing but keys that
// it has read, which is costly.
//
// # What it must not do
//
// It asks no servers and stores no answers. It does not choose between servers
// whose answers differ: who asked does that.
package validator
