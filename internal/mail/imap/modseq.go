package imap

// Select is SELECT and EXAMINE with the parameters of RFC 7162 §3.1.8 and §3.2.5.
type Select struct {
	Mailbox   string
	CondStore bool
	Resync    *Resync // nil: none asked for
}

// Resync is the QRESYNC parameter: what a client remembers of a mailbox.
type Resync struct {
	UIDValidity uint32
	ModSeq      uint64      // of the state that it remembers; at most 63 bits
	Known       SequenceSet // UIDs that it has; nil: all up to that state
	// Seqs and UIDs are message numbers and the UIDs that they had, one by one
	// (§3.2.5.2): sets of the same size, in ascending order, or both nil.
	Seqs, UIDs Ranges
}

func (d *Decoder) selectArgs() any {
	s := Select{Mailbox: d.mailbox()}
	if !d.accept(' ') {
		return s
	}
	d.list(func() {
		switch w := d.word(); {
		case w == "CONDSTORE":
			s.CondStore = true
		case w == "QRESYNC" && s.Resync == nil:
			d.space()
			s.Resync = d.resync()
		default:
			d.fail("Unknown parameter of SELECT")
		}
	})
	return s
}

func (d *Decoder) resync() *Resync {
	r := &Resync{}
	d.expect('(')
	d.enter()
	r.UIDValidity = d.positive()
	d.space()
	r.ModSeq = d.modSeq()
	if d.accept(' ') && d.peek() != '(' {
		r.Known = d.starless()
		if d.peek() == ')' {
			d.leave()
			d.expect(')')
			return r
		}
		d.space()
	}
	if d.peek() == '(' {
		d.matchData(r)
	}
	d.leave()
	d.expect(')')
	return r
}

// matchData is two sets that go together. They have to rise, as the pairs could
// not be found otherwise without writing every one of them out.
func (d *Decoder) matchData(r *Resync) {
	d.expect('(')
	d.enter()
	seqs := d.starless()
	d.space()
	uids := d.starless()
	d.leave()
	d.expect(')')
	if d.err != nil {
		return
	}
	r.Seqs, r.UIDs = seqs.Resolve(0), uids.Resolve(0)
	if r.Seqs.Count() != r.UIDs.Count() {
		d.fail("Message numbers and UIDs are not the same number of them")
	}
}

// starless is a set of which the client knows every end: no "*", no "$".
func (d *Decoder) starless() SequenceSet {
	set := d.sequenceSet()
	if set.Saved() {
		d.fail("Not allowed here: $")
	}
	for _, r := range set {
		if r.From == Star || r.To == Star {
			d.fail("Not allowed here: *")
		}
	}
	return set
}

// modSeq is a mod-sequence-value, 63 bits (RFC 7162 §7; ATTACKS IMAP-023). Zero
// is taken everywhere: "before everything".
func (d *Decoder) modSeq() uint64 { return uint64(d.number()) }

// Changed is the modifiers CHANGEDSINCE and VANISHED of FETCH (RFC 7162 §3.1.4.1
// and §3.2.6).
type Changed struct {
	Given    bool
	Since    uint64
	Vanished bool
}

// changed reads one modifier; false if it is none of these.
func (d *Decoder) changed(word string, c *Changed) bool {
	switch {
	case word == "CHANGEDSINCE" && !c.Given:
		d.space()
		c.Since, c.Given = d.modSeq(), true
	case word == "VANISHED" && !c.Vanished:
		c.Vanished = true
	default:
		return false
	}
	return true
}

// ModSeq writes a mod-sequence as FETCH has it.
func (e *Encoder) ModSeq(n uint64) {
	e.Raw("MODSEQ (")
	e.Number(int64(n))
	e.Raw(")")
}
