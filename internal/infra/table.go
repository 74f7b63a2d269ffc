package infra

// table is a map with a bound: at the bound the least recently used entry is
// forgotten. Unlike picking a victim by map iteration it is deterministic.
type table[K comparable, V any] struct {
	max     int
	nodes   map[K]*node[K, V]
	ring    node[K, V] // ring.next is the most recently used
	evicted uint64
	spare   func(V) bool // entries that go after others, as far as few steps find others; nil: none
}

// spareSteps bounds the search for an entry that need not be spared. It seldom
// takes more than one: those that it passed are in front again.
const spareSteps = 256

type node[K comparable, V any] struct {
	key        K
	value      V
	prev, next *node[K, V]
}

func newTable[K comparable, V any](bound int) *table[K, V] {
	t := &table[K, V]{max: bound, nodes: make(map[K]*node[K, V])}
	t.ring.prev, t.ring.next = &t.ring, &t.ring
	return t
}

func (t *table[K, V]) len() int { return len(t.nodes) }

// peek looks without counting as use.
func (t *table[K, V]) peek(k K) (v V, ok bool) {
	if n := t.nodes[k]; n != nil {
		return n.value, true
	}
	return v, false
}

func (t *table[K, V]) get(k K) (v V, ok bool) {
	n := t.nodes[k]
	if n == nil {
		return v, false
	}
	n.unlink()
	t.front(n)
	return n.value, true
}

// touch counts as use of a key that is there.
func (t *table[K, V]) touch(k K) { _, _ = t.get(k) }

// put stores a key that is not there yet.
func (t *table[K, V]) put(k K, v V) {
	if len(t.nodes) >= t.max {
		for range spareSteps {
			last := t.ring.prev
			if t.spare == nil || !t.spare(last.value) {
				break
			}
			last.unlink()
			t.front(last)
		}
		t.remove(t.ring.prev.key)
		t.evicted++
	}
	n := &node[K, V]{key: k, value: v}
	t.nodes[k] = n
	t.front(n)
}

func (t *table[K, V]) remove(k K) {
	if n := t.nodes[k]; n != nil {
		n.unlink()
		delete(t.nodes, k)
	}
}

func (t *table[K, V]) front(n *node[K, V]) {
	n.prev, n.next = &t.ring, t.ring.next
	n.prev.next, n.next.prev = n, n
}

func (n *node[K, V]) unlink() { n.prev.next, n.next.prev = n.next, n.prev }

// each walks from the most recently used on, until yield says false.
func (t *table[K, V]) each(yield func(K, V) bool) {
	for n := t.ring.next; n != &t.ring; n = n.next {
		if !yield(n.key, n.value) {
			return
		}
	}
}
