package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/durable"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// followed are the trust anchors that follow the key rollovers of their zones (RFC
// 5011). One goroutine looks after all of them; the list itself never changes once
// the app is built.
type followed struct {
	list  []*following
	again chan struct{} // of one slot, filled: look now, whenever it is due

	mu sync.Mutex // guards what the list points to
}

// following is one of them.
type following struct {
	given   *anchor.Anchor
	tracker *anchor.Tracker
	file    string // keeps what was learnt; "" for none
	foreign bool   // what is in the file is not to be overwritten

	looks, failures uint64
	failure         string // of the last save, "" if it went well
}

// follows tells whether a configuration wants its trust anchors followed.
func follows(c *config.DNSSEC) bool {
	switch {
	case !c.Validation || !c.ValidationTime.IsZero(): // at a pinned time nothing moves on
		return false
	case len(c.TrustAnchors) == 0:
		return c.TrustAnchorUpdates != "off"
	}
	return c.TrustAnchorUpdates == "all"
}

// makeState makes the directory for what outlives a restart.
func (a *App) makeState() {
	if a.o.State == "" {
		return
	}
	if err := durable.MakeDir(a.o.State); err != nil {
		a.o.Log.Warn("trust anchors and what operators say will not outlive a restart", "cause", err.Error(),
			"advice", "give the program a directory (STATE_DIRECTORY, or XDG_STATE_HOME)")
		a.o.State = ""
	}
}

// recallKeys reads what was learnt of keys before: it counts from the first question
// on.
func (a *App) recallKeys() {
	a.followed.mu.Lock()
	defer a.followed.mu.Unlock()
	for _, f := range a.followed.list {
		a.recall(f)
	}
}

// stateFile is where what is learnt of a zone's keys is kept, "" for nowhere.
func (a *App) stateFile(zone dnsname.Name) string {
	if a.o.State == "" {
		return ""
	}
	name := "root"
	if !zone.IsRoot() {
		name = fileText(zone.String())
	}
	return filepath.Join(a.o.State, "trust-anchor-"+name)
}

// fileText makes a zone's name one that every file system takes, and no two zones
// alike.
func fileText(zone string) string {
	text := make([]byte, 0, len(zone))
	for _, b := range []byte(zone) {
		switch {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '-', b == '.':
			text = append(text, b)
		default:
			text = fmt.Appendf(text, "%%%02x", b)
		}
	}
	return string(text)
}

// recall reads what was learnt before. What cannot be read is left as it is, for
// somebody to look at: nothing is written over it.
func (a *App) recall(f *following) {
	f.file = a.stateFile(f.given.Zone)
	log := a.o.Log.With("zone", f.given.Zone.String())
	if f.file == "" {
		log.Info("what is learnt of the keys of a zone ends with the program", "advice", "give the program a directory (STATE_DIRECTORY, or XDG_STATE_HOME)")
		return
	}
	text, err := readSmall(f.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var t *anchor.Tracker
	if err == nil {
		t, err = anchor.ReadTracker(f.given, text)
	}
	if err != nil {
		f.foreign = true
		log.Warn("what was learnt of trust anchors was refused: those of the configuration count, and nothing is kept", "file", f.file, "cause", err.Error())
		return
	}
	f.tracker = t
	a.anchors.SetAnchor(t.Anchor())
}

// longestNap bounds how long the goroutine sleeps: the time of day may be set, and
// the machine sleep, meanwhile.
const longestNap = time.Hour

// follow looks at the keys when it is time, until ctx ends.
func (a *App) follow(ctx context.Context) {
	if len(a.followed.list) == 0 {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := false
		select {
		case <-ctx.Done():
			return
		case <-a.followed.again:
			now = true
		case <-timer.C:
		}
		nap := longestNap
		for _, f := range a.followed.list {
			if now || f.tracker.Wait(a.clock.Wall()) <= 0 {
				a.look(ctx, f)
			}
			nap = min(nap, f.tracker.Wait(a.clock.Wall()))
		}
		if ctx.Err() != nil {
			return
		}
		timer.Reset(max(nap, time.Second))
	}
}

// look asks for the keys of a zone, and takes what it sees into account.
func (a *App) look(ctx context.Context, f *following) {
	zone := f.given.Zone
	policy := a.validationPolicy()
	var seen *anchor.Sighting
	err := a.resolver.Latest(ctx, event.Question{Name: zone, Type: wire.TypeDNSKEY}, func(e *cache.Entry) bool {
		s := anchor.Sight(&e.Set, a.clock.Wall(), &policy)
		if seen == nil || f.tracker.Counts(&s) {
			seen = &s
		}
		return f.tracker.Counts(&s)
	})
	if ctx.Err() != nil {
		return
	}
	a.followed.mu.Lock()
	defer a.followed.mu.Unlock()
	f.looks++
	var changed []anchor.Tracked
	ok := false
	trusted := f.tracker.Anchor().Tags()
	if seen == nil {
		f.tracker.Failed(a.clock.Wall())
	} else if changed, ok = f.tracker.Seen(seen); !ok {
		err = &ede.Error{Code: ede.DNSKEYMissing, ID: "LOOK", Text: fmt.Sprintf("none of the trusted keys %d of %s signed, for now, those that its servers give", trusted, zone)}
	}
	if !ok {
		f.failures++
		a.o.Log.Warn("the keys of a zone could not be looked at: it is tried again within a day", "zone", zone.String(), "cause", causeOf(err))
	}
	a.events.Emit(event.KeysLooked{At: a.clock.Now(), Zone: zone, Failure: err})
	a.keysChanged(f, changed)
	if ok || len(changed) > 0 {
		a.saveKeys(f)
	}
	if a.o.Config.DNSSEC.KeyTagSignal && seen != nil {
		tags := f.tracker.Anchor().Tags()
		a.tasks.Go(func() { a.signal(ctx, zone, tags) })
	}
}

// keysChanged lets changes count, and tells of them.
func (a *App) keysChanged(f *following, changed []anchor.Tracked) {
	if len(changed) == 0 {
		return
	}
	now := f.tracker.Anchor()
	a.anchors.SetAnchor(now)
	zone := f.given.Zone
	for _, k := range changed {
		a.events.Emit(event.KeyFollowed{At: a.clock.Now(), Zone: zone, Tag: k.Key.Tag, State: k.State, Until: k.Until, Trusted: len(now.Tags())})
		args := []any{"zone", zone.String(), "tag", k.Key.Tag, "state", k.State}
		switch k.State {
		case "pending":
			a.o.Log.Info("a zone has a new key: it is trusted when it was there for so long", append(args, "until", k.Until.Format(time.RFC3339))...)
		case "revoked":
			a.cache.Flush(zone, wire.TypeDNSKEY) // it may be trusted for the key that is not to be any more
			a.o.Log.Warn("a zone revoked a key: it is never trusted again", args...)
		case "missing":
			a.o.Log.Warn("a key that is trusted is not in its zone: it stays trusted", args...)
		default:
			a.o.Log.Info("a key's state changed", args...)
		}
	}
	if now.Empty() {
		a.o.Log.Error("all trusted keys of a zone were revoked: it is not validated any more", "zone", zone.String(),
			"advice", "install a version with the zone's present keys, or give them in dnssec.trust-anchors")
	}
}

// saveKeys keeps what was learnt.
func (a *App) saveKeys(f *following) {
	if f.file == "" || f.foreign {
		return
	}
	err := durable.WriteFile(f.file, 0o600, func(w io.Writer) error {
		_, err := w.Write(f.tracker.Marshal())
		return err
	})
	was := f.failure
	f.failure = ""
	if err != nil {
		if f.failure = err.Error(); f.failure != was {
			a.o.Log.Warn("what was learnt of trust anchors was not saved", "cause", f.failure, "advice", "a restart begins with what was saved last; it is tried again at the next look")
		}
	}
}
