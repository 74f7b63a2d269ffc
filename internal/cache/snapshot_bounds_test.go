package cache

import (
	"testing"
	"time"
)

// A delegation lives no longer than the bounds of now allow, whatever those were
// when the snapshot was made.
func TestSnapshotObeysTheBoundsOfNow(t *testing.T) {
	c := New(Options{Size: 1 << 20, MaxTTL: 24 * time.Hour, Stale: rules(time.Hour)})
	c.PutDelegation(at(0), delegation(name("example."), 86_400))
	b := save(t, c, at(0), noon, SnapshotHeader{})
	d := New(Options{Size: 1 << 20, MaxTTL: time.Hour, Stale: rules(time.Hour)})
	load(t, d, b, at(0), noon, SnapshotHeader{})
	if got, ok := d.Delegation(at(time.Minute), name("example.")); !ok || got.Expiry != at(time.Hour) {
		t.Errorf("%+v, %v, want it to expire after an hour", got, ok)
	}
}
