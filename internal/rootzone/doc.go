// Package rootzone is a local copy of the root zone (RFC 8806): what would be
// asked of root servers is answered from it, so that junk never leaves the
// machine and the root servers need not be there.
//
// What was read, from a transfer, a file or the form kept on disk, is [Data],
// which answers nothing. [Data.Verify] makes a [Zone] of it when the digest of
// the whole (ZONEMD, RFC 8976) and every signature are right by the root's trust
// anchor. A [Keeper] says when to ask which source, accepts no older serial, and
// gives the zone to readers until it expires.
//
// Whoever owns a Keeper does, for as long as it lives: [Keeper.Next] for a job, or
// how long to sleep; the request of [AppendRequest], whose replies a [Transfer]
// reads, or a file by [Build]; Verify; [Keeper.Fetched] with what came of it. What
// is new is written to disk with [Data.Encode], from where [Decode], Verify and
// [Keeper.Restore] bring it back. Questions to the root's servers are put to
// [Keeper.Zone] first, and to the servers when there is none.
//
// # What it must not do
//
// It opens no sockets and no files and reads no clock: transfers are given to it
// message by message, moments as arguments. It knows nothing of caches: to who
// asks, its answers are a root server's.
package rootzone
