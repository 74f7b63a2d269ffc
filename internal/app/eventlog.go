package app

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// logBurst and logWindow bound how often one kind of message is logged: an
// outage makes the same thing happen thousands of times a second.
const (
	logBurst  = 10
	logWindow = 10 * time.Second
)

// eventLog writes the events that an operator wants to read to the log. What
// the bound leaves out is counted and said with the next message of its kind.
type eventLog struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*allowance // as many as there are messages below
}

type allowance struct {
	since      clock.Mono
	used       int
	suppressed int
}

func newEventLog(log *slog.Logger) *eventLog {
	return &eventLog{log: log, kinds: map[string]*allowance{}}
}

// hear is the sink.
func (l *eventLog) hear(e event.Event) {
	switch e := e.(type) {
	case event.CutHealth:
		if e.Failing {
			l.say(slog.LevelWarn, e.At, "zone began to fail", "zone", e.Cut.String(), "cause", causeOf(e.Cause))
		} else {
			l.say(slog.LevelInfo, e.At, "zone is back", "zone", e.Cut.String())
		}
	case event.NetworkHealth:
		if e.Offline {
			l.say(slog.LevelWarn, e.At, "no name server answers any more, whoever is asked: is the network down?")
		} else {
			l.say(slog.LevelInfo, e.At, "name servers answer again")
		}
	case event.StaleServed: // for nearly every question in an outage: no words are made that nobody reads
		if l.debugs() {
			l.say(slog.LevelDebug, e.At, "served a stale answer", "name", e.Question.Name.String(), "type", e.Question.Type.String(),
				"age", e.Age.Round(time.Second), "waited", e.Waited.Round(time.Millisecond), "why", e.Why.String(), "cause", causeOf(e.Cause))
		}
	case event.Rechecked:
		if l.debugs() {
			l.say(slog.LevelDebug, e.At, "rechecked a server", "zone", e.Cut.String(), "server", e.Server.String(), "outcome", e.Outcome.String())
		}
	case event.Priming:
		if e.Failure != nil {
			l.say(slog.LevelWarn, e.At, "priming failed, going on with the hints", "cause", e.Failure.Error())
		} else {
			l.say(slog.LevelDebug, e.At, "primed the root", "servers", e.Servers)
		}
	case event.BudgetHit:
		l.say(slog.LevelWarn, e.At, "work bound hit", "bound", "limits."+e.Bound)
	case event.Downgraded:
		l.say(slog.LevelDebug, e.At, "server wants to be spoken to differently", "server", e.Server.String(), "what", e.What, "why", e.Why)
	case event.FlightEnded:
		if e.Failure != nil {
			l.say(slog.LevelInfo, e.At, "resolution failed", "name", e.Question.Name.String(), "type", e.Question.Type.String(),
				"took", e.Took.Round(time.Millisecond), "cause", e.Failure.Error())
		}
	}
}

// causeOf is a cause in words.
func causeOf(e *ede.Error) string {
	return cmp.Or(causeText(e), "unknown")
}

// debugs tells whether what is of use for debugging is logged.
func (l *eventLog) debugs() bool { return l.log.Enabled(context.Background(), slog.LevelDebug) }

// say logs unless its kind of message was logged too often of late.
func (l *eventLog) say(level slog.Level, at clock.Mono, msg string, args ...any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	ok, suppressed := l.allow(at, msg)
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Log(context.Background(), level, msg, args...)
}

func (l *eventLog) allow(at clock.Mono, kind string) (ok bool, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.kinds[kind]
	if a == nil {
		a = &allowance{since: at}
		l.kinds[kind] = a
	}
	if at.Sub(a.since) >= logWindow {
		suppressed, a.suppressed = a.suppressed, 0
		a.since, a.used = at, 0
	}
	if a.used >= logBurst {
		a.suppressed++
		return false, 0
	}
	a.used++
	return true, suppressed
}
