// Package authority answers questions from zones, as an authoritative name
// server does (RFC 1034 §4.3.2, 2308, 4592, 6672, 6891), and misbehaves when it
// is told to: a [Fault] is data and can be set while the server is asked.
//
// It signs zones too, well or badly: a [Signing] says with which keys and what is
// to be wrong with it, a [Plan] says the same in words (RFC 4034, 5155).
//
// It owns no sockets, no timers and no goroutines. [Server.Handle] takes a query
// and says what is to happen, a [Reaction]; whoever owns the sockets lets it
// happen. The laboratory and the tests' servers do.
//
// # What it must not do
//
// It never resolves: what is outside its zones is REFUSED. No package beneath
// it reads zone files; this is the only one of the product that uses a general
// DNS library, for them and for signing.
package authority
