package imap

// Store is STORE (RFC 9051 §6.4.6).
type Store struct {
	Set    SequenceSet
	Op     byte // '+', '-' or 0 to replace
	Silent bool
	Flags  []string
	// Conditional: only messages that did not change since UnchangedSince are to be
	// changed (RFC 7162 §3.1.3).
	Conditional    bool
	UnchangedSince uint64
}

func (d *Decoder) store() any {
	s := Store{Set: d.sequenceSet()}
	d.space()
	if d.peek() == '(' {
		d.storeModifiers(&s)
		d.space()
	}
	if c := d.peek(); c == '+' || c == '-' {
		s.Op = c
		d.pos++
	}
	switch w := d.word(); w {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Silent = true
	default:
		d.fail("STORE knows FLAGS only")
	}
	d.space()
	if d.peek() == '(' {
		s.Flags = d.flagList()
		return s
	}
	for s.Flags = append(s.Flags, d.flag()); d.accept(' '); {
		s.Flags = append(s.Flags, d.flag())
	}
	return s
}

func (d *Decoder) storeModifiers(s *Store) {
	d.list(func() {
		if d.word() != "UNCHANGEDSINCE" || s.Conditional {
			d.fail("Unknown modifier of STORE")
			return
		}
		d.space()
		s.UnchangedSince, s.Conditional = d.modSeq(), true
	})
}
