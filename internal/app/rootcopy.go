package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnssec"
	"lastgood/internal/durable"
	"lastgood/internal/rootzone"
)

// rootCopy is the local copy of the root zone (RFC 8806): it fetches it, verifies
// it, keeps it on disk, and answers in place of the root's servers while it may. A
// nil one does nothing.
type rootCopy struct {
	clock   *clock.Clock
	log     *slog.Logger
	pinned  time.Time // what counts as the time of day for signatures, zero: that
	policy  dnssec.Policy
	anchor  func(wall time.Time) rootzone.Anchor // nil: the root has none
	sources []rootSource
	file    string // "": it is not kept
	keeper  *rootzone.Keeper
	do      bool // answers are to have signatures

	answers   atomic.Uint64 // questions answered in place of the servers
	fallbacks atomic.Uint64 // questions to the root's servers when there was no zone

	mu    sync.Mutex // guards what follows
	state rootState
}

// rootState is what is told of it.
type rootState struct {
	status   rootzone.Status
	next     clock.Mono // when a source is asked
	source   string     // that gave the zone; "" none, or the disk
	fetched  uint64     // zones that were newer and verified
	same     uint64     // times that a source had nothing newer
	failures uint64
	failure  string // of the last attempt, "" if it went well
	failed   string // its source
	at       time.Time
	stored   string // why the zone is not on disk, "" if it is
}

// rootSource is where the zone comes from.
type rootSource interface {
	// String names it in messages.
	String() string
	// fetch gives the zone, or ErrSame when it is not newer than have. judge tells
	// whether a serial is worth it, early.
	fetch(ctx context.Context, have *rootzone.Data, judge func(serial uint32) error) (*rootzone.Data, error)
}

// Bounds of the copy's work.
const (
	fetchTime = 2 * time.Minute  // for one attempt with one source, whatever it sends
	rootNap   = 15 * time.Second // the longest sleep: timers do not see that the machine slept
	leastNap  = 100 * time.Millisecond
	leastStep = time.Minute // of the time of day, by which it was set
	rootFile  = "root-zone"
)

// newRootCopy makes it of the configuration, nil when that wants none.
func (a *App) newRootCopy(sources []rootSource, seed uint64) *rootCopy {
	c := a.o.Config
	if c.RootZone.Mode != "local" {
		return nil
	}
	r := &rootCopy{
		clock: a.clock, log: a.o.Log, pinned: c.DNSSEC.ValidationTime, sources: sources, anchor: a.rootAnchor,
		policy: dnssec.Policy{SHA1: true, Iterations: iterationsInsecure, Refused: iterationsRefused},
		keeper: rootzone.NewKeeper(len(sources), mathrand.New(mathrand.NewPCG(seed, 3))), do: a.validator != nil,
	}
	if a.o.State != "" {
		r.file = filepath.Join(a.o.State, rootFile)
	}
	return r
}

// moment reads both clocks.
func (r *rootCopy) moment() rootzone.Moment {
	m := rootzone.Moment{Mono: r.clock.Now(), Wall: r.pinned}
	if m.Wall.IsZero() {
		m.Wall = r.clock.Wall()
	}
	return m
}

// startRoot brings the zone of the last run back, and has it kept current until
// ctx ends. It waits a little, so that the first questions find the zone.
func (a *App) startRoot(ctx context.Context) {
	r := a.root
	if r == nil {
		return
	}
	back := make(chan struct{})
	a.tasks.Go(func() {
		r.restore()
		close(back)
		r.run(ctx)
	})
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case <-back:
	case <-timer.C:
	}
}

// run does what the keeper wants done, until ctx ends.
func (r *rootCopy) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	before := r.reading()
	for {
		now := r.reading()
		if clockWasSet(before, now) {
			r.keeper.Again(now)
		}
		before = now
		job, wait, ok := r.keeper.Next(r.moment())
		r.note(func(*rootState) {})
		if ok {
			r.attempt(ctx, job)
			wait = 0
		}
		timer.Reset(min(max(wait, leastNap), rootNap))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// reading is of both clocks as they are.
func (r *rootCopy) reading() rootzone.Moment {
	return rootzone.Moment{Mono: r.clock.Now(), Wall: r.clock.Wall()}
}

// clockWasSet tells whether the time of day moved otherwise than by itself, far enough
// to matter to signatures.
func clockWasSet(before, now rootzone.Moment) bool {
	step := now.Wall.Sub(before.Wall) - now.Mono.Sub(before.Mono)
	return step.Abs() > leastStep
}

// attempt does one job.
func (r *rootCopy) attempt(ctx context.Context, job rootzone.Job) {
	source := r.sources[job.Source]
	var have *rootzone.Data
	if job.Have != nil {
		have = job.Have.Data
	}
	z, err := r.fetch(ctx, source, have)
	if ctx.Err() != nil {
		return // it says nothing of the source
	}
	r.keeper.Fetched(r.moment(), job, z, err)
	if err == nil { // the keeper may have an objection of its own
		err = r.keeper.Status(r.moment()).Errors[job.Source]
	}
	switch {
	case err == nil:
		r.took(source, z, have)
	case errors.Is(err, rootzone.ErrSame) && r.keeper.Zone(r.moment()) != nil:
		r.note(func(s *rootState) { s.same++; s.failure, s.failed = "", "" })
		r.log.Debug("the root zone is current", "source", source.String(), "serial", r.keeper.Zone(r.moment()).Serial())
		r.save()
	default:
		r.refused(source, err)
	}
}

// fetch gets a zone from a source and verifies it.
func (r *rootCopy) fetch(ctx context.Context, source rootSource, have *rootzone.Data) (*rootzone.Zone, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, errFetchTime)
	defer cancel()
	data, err := source.fetch(ctx, have, r.keeper.Judge)
	if err != nil {
		return nil, err
	}
	if err := r.keeper.Judge(data.Serial()); err != nil {
		return nil, err
	}
	return r.verify(data)
}

var errFetchTime = errors.New("it took longer than " + fetchTime.String())

func (r *rootCopy) verify(data *rootzone.Data) (*rootzone.Zone, error) {
	now := r.moment().Wall
	return data.Verify(r.anchor(now), now, &r.policy)
}

// took tells of a newer zone, and stores it.
func (r *rootCopy) took(source rootSource, z *rootzone.Zone, have *rootzone.Data) {
	r.note(func(s *rootState) {
		s.fetched++
		s.source, s.failure, s.failed = source.String(), "", ""
	})
	args := []any{"serial", z.Serial(), "source", source.String(), "records", z.Len(), "signatures", z.Verified().Signatures,
		"digest", z.Verified().Digest.String(), "until", z.Verified().Expires.UTC().Format(time.RFC3339)}
	if have != nil {
		args = append(args, "before", have.Serial())
	}
	r.log.Info("the root zone was fetched and verified: questions about it are answered from it", args...)
	r.save()
}

// refused counts a failure, and logs one that is not that of last time.
func (r *rootCopy) refused(source rootSource, err error) {
	again := false
	r.note(func(s *rootState) {
		again = s.failure == err.Error() && s.failed == source.String()
		s.failure, s.failed, s.at = err.Error(), source.String(), r.clock.Wall().UTC()
		s.failures++
	})
	level, using := slog.LevelWarn, "the root servers"
	if again {
		level = slog.LevelDebug
	}
	if z := r.keeper.Zone(r.moment()); z != nil {
		using = "the zone held before"
	}
	r.log.Log(context.Background(), level, "no root zone from this source", "source", source.String(), "cause", err.Error(), "using", using)
}

// note changes the state, and brings it up to date.
func (r *rootCopy) note(change func(*rootState)) {
	now := r.moment()
	r.mu.Lock()
	defer r.mu.Unlock()
	had := r.state.status.Zone
	change(&r.state)
	r.state.status = r.keeper.Status(now)
	r.state.next = now.Mono.Add(r.state.status.Next)
	if had != nil && r.state.status.Zone == nil {
		r.state.source = ""
		r.log.Warn("the root zone expired: the root servers are asked", "serial", had.Serial())
	}
}

// save writes the zone to disk, with the time when it was confirmed.
func (r *rootCopy) save() {
	s := r.keeper.Status(r.moment())
	if r.file == "" || s.Zone == nil {
		return
	}
	err := durable.WriteFile(r.file, 0o600, func(w io.Writer) error {
		_, err := w.Write(s.Zone.Encode(s.Confirmed))
		return err
	})
	text, again := "", false
	if err != nil {
		text = err.Error()
	}
	r.note(func(s *rootState) { again, s.stored = s.stored == text, text })
	if err != nil && !again {
		r.log.Warn("the root zone was not stored", "cause", text, "advice", "it is fetched again after a restart; until then the root servers are asked")
	}
}

// restore brings back what save wrote, verified again.
func (r *rootCopy) restore() {
	if r.file == "" {
		return
	}
	z, confirmed, err := r.read()
	if err == nil {
		err = r.keeper.Restore(r.moment(), z, confirmed)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.note(func(s *rootState) { s.failures++ })
		r.log.Warn("the stored root zone was refused", "file", r.file, "cause", err.Error(), "advice", "it is fetched anew; until then the root servers are asked")
	default:
		r.note(func(*rootState) {})
		r.log.Info("the stored root zone was verified: questions about it are answered from it", "serial", z.Serial(), "file", r.file,
			"confirmed", confirmed.Format(time.RFC3339), "records", z.Len())
	}
}

func (r *rootCopy) read() (*rootzone.Zone, time.Time, error) {
	b, err := readBounded(r.file, int64(rootzone.MaxFile)+1)
	if err != nil {
		return nil, time.Time{}, err
	}
	data, confirmed, err := rootzone.Decode(b)
	if err != nil {
		return nil, time.Time{}, err
	}
	z, err := r.verify(data)
	return z, confirmed, err
}
