package wire

import "lastgood/internal/dnsname"

// Bounds of name compression: how many names of a message can be pointed to,
// and where a pointer's 14 bits end. What is beyond is written in full.
const (
	maxKnown   = 128
	maxPointer = 0x4000
	buckets    = 64
)

// names remembers where names stand in a message, as a tree with the root at
// its top: every node is a label behind another node's name. Looking a name up
// or adding it takes one step a label, each octet is hashed and compared once.
// The zero value is empty. 576 bytes.
type names struct {
	count int
	heads [buckets]uint8 // last node of each bucket, 0 none
	nodes [maxKnown]node // nodes are numbered from 1; 0 is the root
}

type node struct {
	at     uint16 // offset of the label in the message
	parent uint8  // node of the name behind the label
	next   uint8  // in the bucket
}

func (k *names) reset() {
	k.count = 0
	k.heads = [buckets]uint8{}
}

// child finds the node of a label (with its length octet) before parent's
// name, 0 when there is none. Case is ignored (RFC 4343).
func (k *names) child(msg []byte, parent uint8, label dnsname.Name) uint8 {
	for i := k.heads[bucket(parent, label)]; i != 0; i = k.nodes[i-1].next {
		n := k.nodes[i-1]
		if n.parent != parent {
			continue
		}
		if known := msg[n.at : int(n.at)+1+int(msg[n.at])]; string(known) == string(label) || dnsname.EqualFold(known, label) {
			return i
		}
	}
	return 0
}

// add puts a new node in; false when there is no room or no pointer reaches it.
func (k *names) add(parent uint8, label dnsname.Name, at int) (uint8, bool) {
	if k.count == maxKnown || at >= maxPointer {
		return 0, false
	}
	b := bucket(parent, label)
	k.nodes[k.count] = node{at: uint16(at), parent: parent, next: k.heads[b]}
	k.count++
	k.heads[b] = uint8(k.count)
	return uint8(k.count), true
}

// drop forgets all nodes but the first count, which makes them as they were
// then: a bucket's head is always its newest node.
func (k *names) drop(msg []byte, count int) {
	for ; k.count > count; k.count-- {
		n := k.nodes[k.count-1]
		label := dnsname.Alias(msg[n.at : int(n.at)+1+int(msg[n.at])])
		k.heads[bucket(n.parent, label)] = n.next
	}
}

// bucket is FNV-1a over the label. Setting bit 5 makes letters lower case, and
// some other octets alike, which a hash may do.
func bucket(parent uint8, label dnsname.Name) uint32 {
	h := (2166136261 ^ uint32(parent)) * 16777619
	for i := range len(label) {
		h = (h ^ uint32(label[i]|0x20)) * 16777619
	}
	return (h ^ h>>16) % buckets
}

// appendName writes a name, its longest known suffix as a pointer; false when
// it does not fit. What is written keeps its case; what is pointed to may
// differ in case.
func (b *Builder) appendName(name dnsname.Name) bool {
	if b.isQuestion(name) {
		return b.put(0xc0, HeaderLen)
	}
	if b.known.count == 0 && b.qname > 1 {
		question := dnsname.Alias(b.message()[HeaderLen : HeaderLen+b.qname])
		b.learn(question, labelsOf(question), 0, HeaderLen)
	}
	l := labelsOf(name)
	parent, msg := uint8(0), b.message()
	for l.n > 0 {
		next := b.known.child(msg, parent, l.last(name))
		if next == 0 {
			break
		}
		parent = next
		l.n--
	}
	return b.appendLabels(name, l, parent)
}

// appendLabels writes the labels l of name, which are new, and a pointer to
// the node they stand before.
func (b *Builder) appendLabels(name dnsname.Name, l labels, parent uint8) bool {
	at, n := b.Len(), l.end(name)
	if at+n+2 > b.limit && (parent != 0 || at+n+1 > b.limit) {
		return false
	}
	b.buf = append(b.buf, name[:n]...)
	if parent == 0 {
		b.buf = append(b.buf, 0)
	} else {
		to := b.known.nodes[parent-1].at
		b.buf = append(b.buf, 0xc0|byte(to>>8), byte(to))
	}
	b.learn(name, l, parent, at)
	return true
}

// learn remembers the labels l of name, which stands at the offset at of the
// message, before the node parent.
func (b *Builder) learn(name dnsname.Name, l labels, parent uint8, at int) {
	for ok := true; l.n > 0; l.n-- {
		if parent, ok = b.known.add(parent, l.last(name), at+int(l.at[l.n-1])); !ok {
			return
		}
	}
}

// isQuestion tells whether name is the first question's: so it is for the
// commonest of all records, and the tree of names is then never needed.
func (b *Builder) isQuestion(name dnsname.Name) bool {
	if b.qname != len(name) || b.qname <= 1 {
		return false
	}
	q := b.message()[HeaderLen : HeaderLen+b.qname]
	return string(q) == string(name) || dnsname.EqualFold(q, name)
}

// labels is where a name's first n labels begin, the root's not counted.
type labels struct {
	n  int
	at [dnsname.MaxLen / 2]uint8
}

func labelsOf(name dnsname.Name) labels {
	var l labels
	for i := 0; i < len(name) && name[i] != 0 && l.n < len(l.at); i += 1 + int(name[i]) {
		l.at[l.n] = uint8(i)
		l.n++
	}
	return l
}

// last is the last of the labels with its length octet.
func (l *labels) last(name dnsname.Name) dnsname.Name {
	at := int(l.at[l.n-1])
	return name[at : at+1+int(name[at])]
}

// end is where the last of the labels ends.
func (l *labels) end(name dnsname.Name) int {
	if l.n == 0 {
		return 0
	}
	at := int(l.at[l.n-1])
	return at + 1 + int(name[at])
}
