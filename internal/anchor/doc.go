// Package anchor holds what trust begins with, and where it ends: trust anchors
// (RFC 4035 §4.4), which RFC 5011 keeps up to date, negative trust anchors (RFC
// 7646), and the zones that are never validated.
//
// # What it must not do
//
// It neither reads nor writes files: it gives text, and takes it. It asks nobody.
package anchor
