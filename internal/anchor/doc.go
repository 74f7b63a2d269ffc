// Package anchor holds what trust begins with, and where it ends: trust anchors
// (RFC 4035 §4.4), which RFC 5011 keeps up to date, negative trust anchors (RFC
// 7646), and the zones that are never validated.
//
// [Parse] reads anchors, [Builtin] has the root's. A [Tracker] follows the keys of
// one zone; what it trusts goes into the [Table], and so do the [Negatives]. The
// table answers the one question that validation asks: what does a name stand on?
//
// # What it must not do
//
// It neither reads nor writes files: it gives text, and takes it. It asks nobody,
// and does not know what time it is.
package anchor
