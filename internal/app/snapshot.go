package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/durable"
)

// snapshots keeps the cache in a file, so that a restart loses nothing.
type snapshots struct {
	said statements // by the configuration, about zones

	loaded atomic.Bool // what was saved last is in the cache, or of no use: now it may be overwritten
	off    atomic.Bool // nothing is saved
	mine   fs.FileInfo // what was saved last; who saves owns it

	flushed chan struct{} // of one slot, filled: something was, which the file may still hold

	mu    sync.Mutex // guards what follows
	state snapshotState
}

// snapshotState is what the metrics tell.
type snapshotState struct {
	since    clock.Mono // the last save, or the start; 0 if none is wanted
	entries  int        // saved last
	bytes    int64
	saveTook time.Duration
	saves    uint64
	failures uint64
	failure  string // of the last save, "" if it went well

	loaded   cache.LoadReport
	held     int // of the entries loaded, when all were: a smaller cache has no room for all
	loadTook time.Duration
	refused  uint64 // snapshots
}

// note changes the state.
func (s *snapshots) note(change func(*snapshotState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
}

// headStart is how long at most the start waits for the snapshot. A small one is
// there when the first question comes; of a large one those are that were asked
// for most, or soon will be: questions are answered while it is loaded.
const headStart = 250 * time.Millisecond

// startSnapshots loads what the last run saved, and has the cache saved over and
// over until ctx ends.
func (a *App) startSnapshots(ctx context.Context) {
	err := a.o.NoSnapshot
	if a.o.Snapshot == "" && err == nil {
		return
	}
	a.snapshots.note(func(s *snapshotState) { s.since = a.clock.Now() })
	if err == nil {
		err = durable.MakeDir(filepath.Dir(a.o.Snapshot))
	}
	if err != nil {
		a.snapshots.off.Store(true)
		a.snapshots.note(func(s *snapshotState) { s.failures++ })
		a.o.Log.Warn("the cache will not outlive a restart", "cause", err.Error(), "advice", "set cache.snapshot to another path, or to off")
		return
	}
	loaded := make(chan struct{})
	a.tasks.Go(func() {
		a.loadSnapshot(ctx)
		close(loaded)
		a.saveSnapshots(ctx)
	})
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case <-loaded:
	case <-timer.C:
	}
}

// flushDelay is how long after a flush the cache is saved, so that several
// flushes in a row are one save.
const flushDelay = time.Second

// saveShare bounds what flushes without end cost: saves, which rest most of the time,
// take no more than one part in so many of it.
const saveShare = 2

// afterFlush has the cache saved soon, so that no crash brings back what was
// flushed.
func (s *snapshots) afterFlush() {
	select {
	case s.flushed <- struct{}{}:
	default:
	}
}

// saveSnapshots saves the cache every interval, and soon after a flush.
func (a *App) saveSnapshots(ctx context.Context) {
	every := a.o.Config.Cache.SnapshotInterval
	due := a.clock.Now().Add(every)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.snapshots.flushed:
			if now := a.clock.Now(); a.soonest(now) < due {
				due = a.soonest(now)
				timer.Reset(due.Sub(now))
			}
		case <-timer.C:
			a.saveSnapshot(newRest(a.clock, ctx.Done(), savePace(), a.clock.Now()).take)
			due = a.clock.Now().Add(every)
			timer.Reset(every)
		}
	}
}

// soonest is when the cache may be saved because of a flush.
func (a *App) soonest(now clock.Mono) clock.Mono {
	a.snapshots.mu.Lock()
	defer a.snapshots.mu.Unlock()
	s := &a.snapshots.state
	return max(now.Add(flushDelay), s.since.Add(saveShare*s.saveTook))
}

// savePace has time, and takes a tenth of a processor. While a snapshot is loaded,
// questions go upstream whose answers are in it.
func savePace() pace { return pace{work: 200 * time.Microsecond, rest: 1800 * time.Microsecond} }
func loadPace() pace { return pace{work: time.Millisecond, rest: time.Millisecond} }

// saveSnapshot writes the cache to its file, if it may, and rests meanwhile, see
// cache.SnapshotHeader. It is not called twice at once.
func (a *App) saveSnapshot(rest func()) {
	if !a.snapshots.loaded.Load() || a.snapshots.off.Load() {
		return
	}
	a.tellOthers()
	now, wall := a.clock.Now(), a.clock.Wall()
	h := cache.SnapshotHeader{Rest: rest, Zones: a.snapshots.said.fingerprints(wall), Memory: encodeMemory(memory{a.infra.Memory(), a.infra.SilentServers(now)}, moments{now, wall})}
	var entries int
	var size counter
	err := durable.WriteFile(a.o.Snapshot, 0o600, func(w io.Writer) (err error) {
		size.w = w
		entries, err = a.cache.WriteSnapshot(&size, now, wall, h)
		return err
	})
	took := a.clock.Now().Sub(now)
	if err != nil {
		a.snapshotFailed(err)
		return
	}
	a.snapshots.mine, _ = os.Stat(a.o.Snapshot)
	a.snapshots.note(func(s *snapshotState) {
		s.since, s.entries, s.bytes, s.saveTook, s.failure = now, entries, size.n, took, ""
		s.saves++
	})
	a.o.Log.Debug("cache saved", "file", a.o.Snapshot, "entries", entries, "bytes", size.n, "took", took.Round(time.Millisecond))
}

// tellOthers warns of somebody else who writes the file. Each of them has a whole
// one, but whose it is at the next start is a matter of chance.
func (a *App) tellOthers() {
	mine := a.snapshots.mine
	if mine == nil {
		return
	}
	there, err := os.Stat(a.o.Snapshot)
	if err == nil && (!os.SameFile(there, mine) || !there.ModTime().Equal(mine.ModTime())) {
		a.o.Log.Warn("another program writes the snapshot as well", "file", a.o.Snapshot, "advice", "give each lastgood a cache.snapshot of its own")
	}
}

// snapshotFailed counts a failure, and logs one that is not that of last time.
func (a *App) snapshotFailed(err error) {
	again := false
	a.snapshots.note(func(s *snapshotState) {
		again, s.failure = s.failure == err.Error(), err.Error()
		s.failures++
	})
	if !again {
		a.o.Log.Warn("the cache was not saved", "cause", err.Error(), "advice", "a restart loses what was learnt since the last snapshot; it is tried again every cache.snapshot-interval")
	}
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// loadSnapshot reads the file of the last run, if there is one. A file that is
// no snapshot is somebody else's: then nothing is saved.
func (a *App) loadSnapshot(ctx context.Context) {
	report, took, err := a.readSnapshot(ctx)
	if ctx.Err() != nil {
		return // what is in the file is more than what is in the cache
	}
	held := 0
	log := a.o.Log.With("file", a.o.Snapshot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		log.Info("there is no snapshot yet: starting with an empty cache")
	case err == nil:
		held = min(report.Entries(), int(a.cache.Stats().Entries))
		tellLoaded(log, &report, held, took)
	default:
		a.snapshots.off.Store(errors.Is(err, cache.ErrForeign) || errors.Is(err, errNoFile) || errors.Is(err, fs.ErrPermission))
		a.snapshots.note(func(s *snapshotState) { s.refused++ })
		log.Warn("the snapshot was refused: starting with an empty cache", "cause", err.Error(), "overwritten", !a.snapshots.off.Load(),
			"advice", "if another program needs that file, set cache.snapshot to another path")
	}
	a.snapshots.note(func(s *snapshotState) { s.loaded, s.held, s.loadTook = report, held, took })
	a.snapshots.loaded.Store(true)
}

// errNoFile is said of directories, devices and the like.
var errNoFile = errors.New("cache.snapshot is not the path of a file")

// readSnapshot reads the file into the cache.
func (a *App) readSnapshot(ctx context.Context) (report cache.LoadReport, took time.Duration, err error) {
	if info, err := os.Stat(a.o.Snapshot); err == nil && !info.Mode().IsRegular() {
		return report, 0, errNoFile
	}
	f, err := os.Open(a.o.Snapshot)
	if err != nil {
		return report, 0, err
	}
	defer f.Close()
	now, wall := a.clock.Now(), a.clock.Wall()
	report, err = a.cache.ReadSnapshot(&endingReader{ctx, f}, now, wall, cache.SnapshotHeader{
		Zones: a.snapshots.said.fingerprints(wall),
		Rest:  newRest(a.clock, ctx.Done(), loadPace(), now.Add(headStart)).take,
		Restore: func(memory []byte, about *cache.LoadReport) {
			m := decodeMemory(memory, about, moments{now, wall})
			a.infra.Restore(m.cuts)
			a.infra.RestoreSilent(now, m.servers)
		},
	})
	return report, a.clock.Now().Sub(now), err
}

func tellLoaded(log *slog.Logger, r *cache.LoadReport, held int, took time.Duration) {
	log.Info("the cache is back", "fresh", r.Fresh, "stale", r.Stale, "delegations", r.Delegations, "saved", r.Elapsed.Round(time.Second).String()+" ago",
		"held", held, "gone", r.Gone, "changed", r.Changed, "took", took.Round(time.Millisecond))
	if held < r.Entries() {
		log.Warn("the cache has no room for all that was saved: what was asked for least went", "saved", r.Entries(), "held", held, "advice", "raise cache.size")
	}
	if r.Backwards {
		log.Warn("the clock is set to before the snapshot was saved: nothing that it held is fresh", "saved", r.Saved.UTC().Format(time.RFC3339))
	}
}

// endingReader stops when ctx ends.
type endingReader struct {
	ctx context.Context
	f   *os.File
}

func (r *endingReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.f.Read(b)
}

func (r *endingReader) Seek(offset int64, whence int) (int64, error) { return r.f.Seek(offset, whence) }

// gatherSnapshots tells how the snapshots of the cache are.
func (a *App) gatherSnapshots(g gatherer) {
	a.snapshots.mu.Lock()
	s := a.snapshots.state
	a.snapshots.mu.Unlock()
	age := 0.0
	if s.since > 0 {
		age = a.clock.Now().Sub(s.since).Seconds()
	}
	g.gauge("lastgood_snapshot_age_seconds", "Time since the cache was saved, or since the start; 0 with cache.snapshot off.", age)
	g.gauge("lastgood_snapshot_entries", "Entries in the snapshot that was saved last.", float64(s.entries))
	g.gauge("lastgood_snapshot_size_bytes", "Size of the snapshot that was saved last.", float64(s.bytes))
	const took = "How long the cache took to be saved last, and to be loaded."
	g.gauge("lastgood_snapshot_duration_seconds", took, s.saveTook.Seconds(), "what", "save")
	g.gauge("lastgood_snapshot_duration_seconds", took, s.loadTook.Seconds(), "what", "load")
	g.count("lastgood_snapshot_saves_total", "Snapshots of the cache saved.", s.saves)
	const failed = "Snapshots that could not be saved, or never can be, and those that were refused at the start."
	g.count("lastgood_snapshot_failures_total", failed, s.failures, "what", "save")
	g.count("lastgood_snapshot_failures_total", failed, s.refused, "what", "load")
	const loaded = "What became of the entries and delegations of the snapshot at the start; displaced: of the fresh and stale ones, those that had to make room at once."
	for _, l := range []struct {
		what string
		n    int
	}{
		{"fresh", s.loaded.Fresh}, {"stale", s.loaded.Stale}, {"delegation", s.loaded.Delegations}, {"gone", s.loaded.Gone},
		{"changed", s.loaded.Changed}, {"newer", s.loaded.Newer}, {"refused", s.loaded.Refused}, {"displaced", s.loaded.Entries() - s.held},
	} {
		g.gauge("lastgood_snapshot_loaded", loaded, float64(l.n), "result", l.what)
	}
}
