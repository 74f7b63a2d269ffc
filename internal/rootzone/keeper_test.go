package rootzone

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lastgood/internal/clock"
)

// at is a moment some time after the zones of the tests were signed.
func at(after time.Duration) Moment {
	return Moment{clock.Mono(time.Second).Add(after), signedAt.Add(time.Hour + after)}
}

// ofSerial is a verified zone with another serial, refresh 30 min, retry 15 min,
// expire 7 d, as the root has them.
func ofSerial(t *testing.T, serial string) *Zone {
	t.Helper()
	return verify(t, sign(t, parse(t, ".", strings.Replace(smallRoot, "2026010200", serial, 1))))
}

func newTestKeeper(sources int) *Keeper {
	return NewKeeper(sources, rand.New(rand.NewPCG(17, 18)))
}

// job wants one for now.
func job(t *testing.T, k *Keeper, now Moment) Job {
	t.Helper()
	j, wait, ok := k.Next(now)
	if !ok {
		t.Fatalf("nothing to do for %v", wait)
	}
	return j
}

// idle wants none for a time between the two, and gives it.
func idle(t *testing.T, k *Keeper, now Moment, least, most time.Duration) time.Duration {
	t.Helper()
	j, wait, ok := k.Next(now)
	if ok || wait < least || wait > most {
		t.Fatalf("job %v, %+v after %v; want none for %v to %v", ok, j, wait, least, most)
	}
	return wait
}

var errDown = errors.New("down")

// TestKeeperLife is a zone from the first request to its refreshes.
func TestKeeperLife(t *testing.T) {
	k, one, two := newTestKeeper(2), ofSerial(t, "1"), ofSerial(t, "2")
	now := at(0)
	j := job(t, k, now)
	if k.Zone(now) != nil || j.Source != 0 || j.Have != nil {
		t.Fatalf("at the start: %+v", j)
	}
	k.Fetched(now, j, one, nil)
	if k.Zone(now) != one {
		t.Fatal("the zone is not there")
	}
	wait := idle(t, k, now, 27*time.Minute, 30*time.Minute)
	now = at(wait)
	if j = job(t, k, now); j.Have != one || j.Source != 0 {
		t.Fatalf("the refresh: %+v", j)
	}
	k.Fetched(now, j, nil, ErrSame)
	if s := k.Status(now); s.Zone != one || !s.Confirmed.Equal(now.Wall) || s.Errors[0] != nil {
		t.Errorf("confirmed: %+v", s)
	}
	now = at(wait + 30*time.Minute)
	k.Fetched(now, job(t, k, now), two, nil)
	if k.Zone(now) != two {
		t.Error("the newer zone was not taken")
	}
}

// TestKeeperOlder: a source that is behind neither replaces nor confirms the zone,
// and the next one is asked; nor is an older one taken once the zone is gone.
func TestKeeperOlder(t *testing.T) {
	k, one, two := newTestKeeper(2), ofSerial(t, "1"), ofSerial(t, "2")
	now := at(0)
	k.Fetched(now, job(t, k, now), two, nil)
	now = at(31 * time.Minute)
	k.Fetched(now, job(t, k, now), one, nil)
	if s := k.Status(now); k.Zone(now) != two || !s.Confirmed.Equal(at(0).Wall) || !errors.Is(s.Errors[0], ErrOlder) {
		t.Fatalf("%+v", s)
	}
	j := job(t, k, now)
	if j.Source != 1 {
		t.Fatalf("asked next: %+v", j)
	}
	k.Fetched(now, j, nil, ErrOlder)
	idle(t, k, now, 13*time.Minute, 15*time.Minute) // RETRY
	now = at(8 * 24 * time.Hour)
	if k.Zone(now) != nil {
		t.Fatal("the zone did not expire")
	}
	k.Fetched(now, job(t, k, now), one, nil)
	if k.Zone(now) != nil {
		t.Error("an older zone was taken because the newer one had expired")
	}
	k.Fetched(now, job(t, k, now), two, nil)
	if k.Zone(now) != two {
		t.Error("the same zone was not taken again")
	}
}

// TestKeeperFails: differences that fail are followed by the whole zone, a source
// by the next, all of them by a pause; the zone stays meanwhile.
func TestKeeperFails(t *testing.T) {
	k, one, two := newTestKeeper(2), ofSerial(t, "1"), ofSerial(t, "2")
	now := at(0)
	k.Fetched(now, job(t, k, now), one, nil)
	now = at(31 * time.Minute)
	for _, want := range []Job{{0, one}, {0, nil}, {1, one}, {1, nil}} {
		j := job(t, k, now)
		if j != want {
			t.Fatalf("%+v, want %+v", j, want)
		}
		k.Fetched(now, j, nil, errDown)
	}
	wait := idle(t, k, now, 13*time.Minute, 15*time.Minute)
	if s := k.Status(now); k.Zone(now) != one || !errors.Is(s.Errors[1], errDown) {
		t.Errorf("%+v", s)
	}
	now = at(31*time.Minute + wait)
	k.Fetched(now, job(t, k, now), nil, errDown)
	k.Fetched(now, job(t, k, now), two, nil)
	if s := k.Status(now); k.Zone(now) != two || s.Errors[0] != nil {
		t.Errorf("%+v", s)
	}
}

// TestKeeperNothing: without a zone all sources are asked at once, then ever more
// rarely.
func TestKeeperNothing(t *testing.T) {
	k, now := newTestKeeper(3), at(0)
	elapsed := time.Duration(0)
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		for range 3 {
			k.Fetched(now, job(t, k, now), nil, errDown)
		}
		elapsed += idle(t, k, now, pause*9/10, pause)
		now = at(elapsed)
	}
	k.Fetched(now, job(t, k, now), nil, ErrSame)
	if s := k.Status(now); !errors.Is(s.Errors[0], errNothing) {
		t.Errorf("the same as nothing: %+v", s)
	}
	k.Fetched(now, job(t, k, now), nil, nil)
	if s := k.Status(now); !errors.Is(s.Errors[1], errNothing) {
		t.Errorf("nothing at all: %+v", s)
	}
}

// TestKeeperExpires: at the very moment, for readers who ask nobody else, and a new
// zone is wanted at once.
func TestKeeperExpires(t *testing.T) {
	const week = 7 * 24 * time.Hour
	k, one := newTestKeeper(1), ofSerial(t, "1")
	k.Fetched(at(0), job(t, k, at(0)), one, nil)
	if k.Zone(at(week-1)) == nil || k.Zone(at(week)) != nil {
		t.Error("it expires at another moment")
	}
	now := at(week - time.Minute)
	k.Fetched(now, job(t, k, now), nil, errDown)
	k.Fetched(now, job(t, k, now), nil, errDown)
	idle(t, k, now, time.Minute, time.Minute) // until it expires, not until the next attempt
	if j := job(t, k, at(week)); j.Have != nil {
		t.Error("differences to what has expired are wanted")
	}
	if s := k.Status(at(week)); s.Zone != nil || !s.Expires.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestKeeperSignatures: no confirmation makes up for a signature that expired, and
// the time of day alone decides that.
func TestKeeperSignatures(t *testing.T) {
	k, one := newTestKeeper(1), ofSerial(t, "1")
	k.Fetched(at(0), job(t, k, at(0)), one, nil)
	end := signedTill.Sub(at(0).Wall)
	for day := 24 * time.Hour; day < end; day += 24 * time.Hour {
		k.Fetched(at(day), job(t, k, at(day)), nil, ErrSame)
	}
	if s := k.Status(at(end - time.Hour)); s.Zone != one || !s.Expires.Equal(signedTill) {
		t.Errorf("%+v", s)
	}
	if k.Zone(at(end-1)) != one || k.Zone(at(end)) != nil {
		t.Error("it may be used until another moment")
	}
	k.Fetched(at(end), job(t, k, at(end)), one, nil)
	if k.Zone(at(end)) != nil {
		t.Error("it was taken again")
	}
}

// TestKeeperClockBack: a step of the time of day gives the zone no longer life.
func TestKeeperClockBack(t *testing.T) {
	const week = 7 * 24 * time.Hour
	k, one := newTestKeeper(1), ofSerial(t, "1")
	k.Fetched(at(0), job(t, k, at(0)), one, nil)
	now := at(week)
	now.Wall = now.Wall.Add(-3 * 24 * time.Hour)
	if k.Zone(now) != nil {
		t.Error("it lives on")
	}
}

func TestKeeperRestore(t *testing.T) {
	const day = 24 * time.Hour
	one, two := ofSerial(t, "1"), ofSerial(t, "2")
	k := newTestKeeper(1)
	if err := k.Restore(at(0), two, at(-6*day).Wall); err != nil {
		t.Fatal(err)
	}
	if j := job(t, k, at(0)); j.Have != two {
		t.Errorf("%+v", j)
	}
	if k.Zone(at(day-1)) != two || k.Zone(at(day)) != nil {
		t.Error("the time on disk was not counted")
	}
	if err := k.Restore(at(0), one, at(0).Wall); !errors.Is(err, ErrOlder) {
		t.Errorf("an older one: %v", err)
	}

	k = newTestKeeper(1)
	if err := k.Restore(at(0), two, at(-10*time.Minute).Wall); err != nil {
		t.Fatal(err)
	}
	idle(t, k, at(0), 17*time.Minute, 20*time.Minute)

	k = newTestKeeper(1)
	if err := k.Restore(at(0), two, at(-7*day).Wall); err == nil || !strings.Contains(err.Error(), "serial 2 expired 2026-01-02T01:00:00Z") || k.Zone(at(0)) != nil {
		t.Errorf("an expired one: %v", err)
	}
	k.Fetched(at(0), job(t, k, at(0)), one, nil)
	if k.Zone(at(0)) != nil {
		t.Error("an older one than on disk was taken")
	}

	k = newTestKeeper(1)
	if err := k.Restore(at(0), two, at(100*day).Wall); err != nil { // the clock was wrong, or is
		t.Fatal(err)
	}
	if k.Zone(at(7*day-1)) != two || k.Zone(at(7*day)) != nil {
		t.Error("a confirmation from the future prolongs the zone")
	}
}
