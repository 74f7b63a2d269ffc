// Package iterator resolves one question by asking name servers: it walks down
// from the closest known delegation, one explicit state machine a question
// (see [task]), in plain blocking Go.
//
// It must not open sockets, read the time other than through its clock, follow
// aliases beyond the reply that holds them, or put answers into the cache: it
// hands them to its caller, who may want to validate them first. Delegations it
// does store, and only from the parent's referrals.
//
// For a caller who validates it keeps signatures and proofs with the entries, tells
// what referrals say of DS records and whose reply an answer is, and resolves again
// without some servers. What is good and what bogus it does not know.
//
// Nothing that a server says is believed before it went through read (what is
// there), scrub (what that server may say) and classify (what it means), three
// pure functions.
package iterator
