package validator

import (
	"bytes"
	"sync"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
)

// mostKeyOctets bounds the memory of the table of keys; at the bound any of them go,
// for they can be read again. A zone's usual two take some 1,500 octets.
const mostKeyOctets = 32 << 20

// keyTable keeps the keys of zones as they were read last.
type keyTable struct {
	mu     sync.Mutex
	sets   map[dnsname.Name]keySet
	octets int
}

type keySet struct {
	data rrset.Packed
	keys []*dnssec.Key
}

// size is about what a set takes: its data, that of the keys, and their numbers.
func (s *keySet) size() int { return 200 + 2*len(s.data) + 600*len(s.keys) }

// read gives the keys of a DNSKEY set.
func (t *keyTable) read(set *rrset.Set, b *dnssec.Budget) []*dnssec.Key {
	t.mu.Lock()
	have, ok := t.sets[set.Name]
	t.mu.Unlock()
	if ok && bytes.Equal(have.data, set.Data) {
		return have.keys
	}
	keys := dnssec.ReadKeys(set, b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sets == nil {
		t.sets = map[dnsname.Name]keySet{}
	}
	t.drop(set.Name)
	own := keySet{bytes.Clone(set.Data), keys}
	for zone := range t.sets {
		if t.octets+own.size() <= mostKeyOctets {
			break
		}
		t.drop(zone)
	}
	t.sets[set.Name] = own
	t.octets += own.size()
	return keys
}

// drop forgets a zone's keys, if they are there. The lock is held.
func (t *keyTable) drop(zone dnsname.Name) {
	if old, ok := t.sets[zone]; ok {
		t.octets -= old.size()
		delete(t.sets, zone)
	}
}
