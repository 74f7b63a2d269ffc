package app

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
)

func newApp(t *testing.T, text string) *App {
	t.Helper()
	c, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Ready means listening: not before Start, not when Stop has begun.
func TestReadyFromStartToStop(t *testing.T) {
	a := newApp(t, "listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"off\"}\n")
	if a.ready.Load() {
		t.Error("ready before it listens")
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	if !a.ready.Load() || len(a.Listening()) != 1 {
		t.Error("not ready when it listens")
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if a.ready.Load() {
		t.Error("ready after it stopped")
	}
}

// What expired is tidied away though nobody asks or stores anything.
func TestSweepInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, "stale: {enabled: false}")
		e := cache.Entry{Name: dnsname.MustParse("gone.example."), Kind: cache.NXDomain, TTL: 1}
		if !a.cache.Put(a.clock.Now(), &e) || a.cache.Stats().Entries != 1 {
			t.Fatal("the entry was not stored")
		}
		ctx, end := context.WithCancel(t.Context())
		a.tasks.Go(func() { a.sweep(ctx) })
		time.Sleep(2 * sweepInterval)
		if n := a.cache.Stats().Entries; n != 0 {
			t.Errorf("%d entries that nobody can use are kept", n)
		}
		end()
		a.tasks.Wait()
	})
}
