package app

import (
	"context"
	"fmt"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// mostSignalled is how many key tags go into a label of 63 octets (RFC 8145 §5.1).
const mostSignalled = 12

// signal tells the servers of a zone which of its keys are trusted here, by the name
// that they are asked for (RFC 8145 §5). What they answer is of no interest.
func (a *App) signal(ctx context.Context, zone dnsname.Name, tags []uint16) {
	if len(tags) == 0 {
		return
	}
	label := "_ta"
	for _, tag := range tags[:min(len(tags), mostSignalled)] {
		label += fmt.Sprintf("-%04x", tag)
	}
	name, err := zone.Prepend(label)
	if err != nil {
		return // the zone's name leaves no room for it
	}
	a.resolver.Latest(ctx, event.Question{Name: name, Type: wire.TypeNULL}, func(*cache.Entry) bool { return true })
}

// rootTags are the tags of the root's keys that are trusted now (RFC 8509).
func (a *App) rootTags() []uint16 {
	g := a.anchors.Ground(dnsname.Root, a.clock.Wall())
	if g.Kind != anchor.Anchored {
		return nil
	}
	return g.Anchor.Tags()
}
