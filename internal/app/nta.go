package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/clock"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/durable"
	"lastgood/internal/event"
)

// ntaFile is the name of the file of the negative trust anchors that were added.
const ntaFile = "negative-trust-anchors"

// negatives keeps the negative trust anchors that were added over restarts, sees
// that none outlasts its end, and that none stays that is needed no longer. It never
// makes one.
type negatives struct {
	changed chan struct{} // of one slot, filled: the list is another

	saving sync.Mutex // held while the file is written, which may take long; comes before mu

	mu      sync.Mutex // of changes; guards what follows
	file    string     // "": nothing is kept
	made    uint64     // changes of the list
	saved   uint64     // of them those that the file has
	failure string     // of the last save, "" if it went well
	checks  map[dnsname.Name]ntaCheck

	changes [event.NegativeRecovered + 1]atomic.Uint64
	checked [2]atomic.Uint64 // that validated again, and that did not
}

// ntaCheck is what is known of a zone with a negative trust anchor.
type ntaCheck struct {
	next    clock.Mono
	at      time.Time        // of the last, zero for none
	trouble string           // that was found then
	samples []event.Question // that failed when it was added
}

// startNegatives reads what the last run kept, and has all of them tended until ctx
// ends. It comes before the cache is loaded, which is held against them, and before
// anybody may add one.
func (a *App) startNegatives(ctx context.Context) {
	if a.validator == nil {
		return
	}
	n := &a.ntas
	n.mu.Lock()
	n.checks = map[dnsname.Name]ntaCheck{}
	if a.o.State != "" {
		n.file = filepath.Join(a.o.State, ntaFile)
		a.readNegatives()
	}
	n.mu.Unlock()
	a.tasks.Go(func() { a.tendNegatives(ctx) })
}

// readNegatives reads the file, if there is one. One that makes no sense is not
// written over: it is kept under another name, or nothing is saved in this run.
func (a *App) readNegatives() {
	path := a.ntas.file
	text, err := readSmall(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		a.ntas.file = ""
		a.o.Log.Warn("the negative trust anchors of the last run cannot be read, and none will outlive a restart", "cause", err.Error())
		return
	}
	err = a.negatives.Unmarshal(text, a.clock.Wall())
	if err == nil {
		return
	}
	aside := path + ".refused"
	if kept := keepAside(aside, text); kept != nil {
		a.ntas.file = ""
		a.o.Log.Warn("the negative trust anchors of the last run are refused, and none will outlive a restart", "file", path, "cause", err.Error(), "advice", "add again what is needed; the file stays as it is, for "+kept.Error())
		return
	}
	a.o.Log.Warn("the negative trust anchors of the last run are refused", "file", path, "cause", err.Error(), "kept", aside, "advice", "add again what is needed")
}

// keepAside writes a text to a file that is not there yet, or has it already.
func keepAside(path string, text []byte) error {
	have, err := readSmall(path)
	switch {
	case err == nil && string(have) == string(text):
		return nil
	case err == nil:
		return fmt.Errorf("%s holds another one", path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return durable.WriteFile(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// saveNegatives writes the list to the file, so that a restart keeps it, unless the
// file has it. Only other saves wait for a disk that takes long.
func (a *App) saveNegatives() {
	n := &a.ntas
	n.saving.Lock()
	defer n.saving.Unlock()
	n.mu.Lock()
	file, made, behind := n.file, n.made, n.behind()
	n.mu.Unlock()
	if file == "" || !behind {
		return
	}
	err := durable.WriteFile(file, 0o600, func(w io.Writer) error {
		_, err := w.Write(a.negatives.Marshal())
		return err
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.failure
	n.failure = ""
	if err == nil {
		n.saved = made
		return
	}
	if n.failure = err.Error(); n.failure != before {
		a.o.Log.Warn("the negative trust anchors were not saved", "cause", n.failure, "advice", "a restart loses the latest changes; it is tried again every minute while there are any")
	}
}

// behind tells whether the list is not as the next run would have it. The lock is
// held.
func (n *negatives) behind() bool { return n.file == "" || n.saved != n.made }

// NTAs is the list as the API has it, for who runs the App without one.
func (a *App) NTAs() control.NTAs { return controlAPI{a} }

// wake makes whoever tends the list look at it.
func (n *negatives) wake() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// NTAs lists them.
func (c controlAPI) NTAs() []control.NTA {
	n := &c.a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []control.NTA{}
	for _, a := range c.a.negatives.List() {
		list = append(list, n.form(a))
	}
	return list
}

// form is how people read one. The lock is held.
func (n *negatives) form(a *anchor.Against) control.NTA {
	check := n.checks[a.Zone]
	return control.NTA{
		Zone: a.Zone.String(), Added: a.Added, Until: a.Until, Reason: a.Reason, Forced: a.Forced, Configured: a.Configured,
		Kept: a.Configured || !n.behind(), Checked: check.at, Trouble: check.trouble,
	}
}

// AddNTA adds one.
func (c controlAPI) AddNTA(zone dnsname.Name, until time.Time, reason string, forced bool) (control.NTA, error) {
	counts, err := c.a.addNegative(anchor.Against{Zone: zone, Until: until, Reason: reason, Forced: forced})
	if err != nil {
		return control.NTA{}, err
	}
	c.a.saveNegatives() // when all else is done: a disk may take long
	n := &c.a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.form(counts), nil
}

// addNegative adds one, and gives the one that counts for its zone from now on.
func (a *App) addNegative(add anchor.Against) (*anchor.Against, error) {
	n, zone := &a.ntas, add.Zone
	n.mu.Lock()
	defer n.mu.Unlock()
	wall := a.clock.Wall()
	before := a.anchors.Ground(zone, wall)
	counts, err := a.negatives.Add(add, wall)
	if err != nil {
		return nil, err
	}
	n.made++
	check := ntaCheck{next: a.clock.Now().Add(ntaRecheck), samples: a.watch.Samples(zone)}
	if len(check.samples) == 0 { // nothing fails any more while there was one already
		check.samples = n.checks[zone].samples
	}
	n.checks[zone] = check
	a.negativeAdded(zone)
	n.changes[event.NegativeAdded].Add(1)
	a.events.Emit(event.NegativeAnchor{At: a.clock.Now(), Zone: zone, What: event.NegativeAdded, Until: counts.Until, Reason: add.Reason, Forced: add.Forced})
	a.o.Log.Warn("negative trust anchor added: nothing at or below the zone is validated until it ends", "zone", zone.String(),
		"until", counts.Until.Format(time.RFC3339), "reason", add.Reason, "forced", add.Forced)
	if before.Kind == anchor.Anchored && before.Zone == zone { // RFC 7646 §1.1
		a.o.Log.Warn("the zone has a trust anchor of its own, which does not count meanwhile", "zone", zone.String())
	}
	n.wake()
	return counts, nil
}

// RemoveNTA ends one that was added.
func (c controlAPI) RemoveNTA(zone dnsname.Name) (control.NTA, error) {
	form, err := c.a.removeNegative(zone)
	if err != nil {
		return control.NTA{}, err
	}
	c.a.saveNegatives() // when all else is done: a disk may take long
	n := &c.a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	form.Kept = n.file == "" || !n.behind() // without a file nothing brings it back
	return form, nil
}

func (a *App) removeNegative(zone dnsname.Name) (control.NTA, error) {
	n := &a.ntas
	n.mu.Lock()
	defer n.mu.Unlock()
	removed, err := a.negatives.Remove(zone)
	switch {
	case err != nil && !a.negatives.Has(zone):
		return control.NTA{}, control.ErrNoNTA
	case err != nil:
		return control.NTA{}, err
	}
	form := n.form(removed)
	a.over(removed, event.NegativeRemoved)
	n.wake()
	return form, nil
}

// over does what is due when one has ended: what was cached without having been
// validated goes, unless the zone is still not to be validated. The lock is held.
func (a *App) over(n *anchor.Against, why event.NegativeChange) {
	a.ntas.made++
	if !a.negatives.Has(n.Zone) {
		delete(a.ntas.checks, n.Zone)
	}
	if a.anchors.Ground(n.Zone, a.clock.Wall()).Kind != anchor.Negative {
		a.negativeEnded(n.Zone)
	}
	a.ntas.changes[why].Add(1)
	a.events.Emit(event.NegativeAnchor{At: a.clock.Now(), Zone: n.Zone, What: why, Until: n.Until, Reason: n.Reason, Forced: n.Forced})
	words := map[event.NegativeChange]string{
		event.NegativeRemoved: "removed", event.NegativeExpired: "expired", event.NegativeRecovered: "dropped: the zone validates again",
	}
	a.o.Log.Info("negative trust anchor "+words[why], "zone", n.Zone.String(), "until", n.Until.Format(time.RFC3339), "reason", n.Reason)
}
