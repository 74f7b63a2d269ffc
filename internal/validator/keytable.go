package validator

import (
	"bytes"
	"sync"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
)

// mostKeySets bounds the table of keys; at the bound any of them goes, for it can
// be read again.
const mostKeySets = 10_000

// keyTable keeps the keys of zones as they were read last.
type keyTable struct {
	mu   sync.Mutex
	sets map[dnsname.Name]keySet
}

type keySet struct {
	data rrset.Packed
	keys []*dnssec.Key
}

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
	if len(t.sets) >= mostKeySets {
		for zone := range t.sets {
			delete(t.sets, zone)
			break
		}
	}
	t.sets[set.Name] = keySet{bytes.Clone(set.Data), keys}
	return keys
}
