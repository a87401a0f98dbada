package stress

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// message is what a client knows of a letter in the mailbox that it has selected.
type message struct {
	uid    uint32 // 0: not known yet
	flags  string // sorted, without \Recent; "?" when they are not known yet
	modseq uint64
	told   bool // the flags came since the command was sent
	known  bool // which letter it is
	read   bool // its text came whole
}

// view is what a client believes of the mailbox that it has selected: what SELECT and
// the responses since then have told.
type view struct {
	name       string
	selectedAt int // by the clock of the book
	readOnly   bool
	validity   uint32
	next       uint32
	modseq     uint64 // HIGHESTMODSEQ at SELECT
	messages   []message
}

// mayExpunge tells whether EXPUNGE may come while a command goes on (RFC 9051 §7.5.1).
func mayExpunge(command string) bool {
	switch command {
	case "FETCH", "STORE", "SEARCH", "":
		return false
	}
	return true
}

// exists: the mailbox has grown, or has not changed.
func (v *view) exists(n uint32) error {
	if int(n) < len(v.messages) {
		return fmt.Errorf("%d EXISTS, and there were %d", n, len(v.messages))
	}
	for len(v.messages) < int(n) {
		v.messages = append(v.messages, message{flags: "?"})
	}
	return nil
}

// expunge takes a letter out and returns its UID.
func (v *view) expunge(n uint32) (uid uint32, err error) {
	if n == 0 || int(n) > len(v.messages) {
		return 0, fmt.Errorf("%d EXPUNGE, and there are %d", n, len(v.messages))
	}
	uid = v.messages[n-1].uid
	v.messages = slices.Delete(v.messages, int(n-1), int(n))
	return uid, nil
}

// vanish takes a letter out by its UID (RFC 7162 §3.2.10). Where the UID is not known
// it is one of those between its neighbours whose UIDs are not known, never mind which.
func (v *view) vanish(uid uint32) error {
	unknown := -1
	for n, m := range v.messages {
		switch {
		case m.uid == uid:
			v.messages = slices.Delete(v.messages, n, n+1)
			return nil
		case m.uid == 0 && unknown < 0:
			unknown = n
		case m.uid != 0 && m.uid < uid:
			unknown = -1
		case m.uid > uid && unknown < 0:
			return fmt.Errorf("VANISHED %d, which was not there", uid)
		}
	}
	if unknown < 0 {
		return fmt.Errorf("VANISHED %d, which was not there", uid)
	}
	v.messages = slices.Delete(v.messages, unknown, unknown+1)
	return nil
}

// fetched takes the items of a FETCH response in, and returns them by name.
func (v *view) fetched(r response) (m *message, items map[string]any, err error) {
	if r.number == 0 || int(r.number) > len(v.messages) {
		return nil, nil, fmt.Errorf("%d FETCH, and there are %d", r.number, len(v.messages))
	}
	if items, err = pairs(r.data); err != nil {
		return nil, nil, err
	}
	m = &v.messages[r.number-1]
	if value, told := items["UID"]; told {
		uid, err := number(value)
		if err != nil || uid == 0 || m.uid != 0 && m.uid != uint32(uid) {
			return nil, nil, fmt.Errorf("letter %d has UID %v, and it had %d", r.number, value, m.uid)
		}
		m.uid = uint32(uid)
		if err := v.ascending(int(r.number) - 1); err != nil {
			return nil, nil, err
		}
	}
	if value, told := items["FLAGS"]; told {
		if m.flags, err = flagsOf(value); err != nil {
			return nil, nil, err
		}
		m.told = true
	}
	if value, told := items["MODSEQ"]; told {
		inner, _ := value.(list)
		if len(inner) != 1 {
			return nil, nil, fmt.Errorf("MODSEQ %v", value)
		}
		modseq, err := number(inner[0])
		if err != nil || modseq < m.modseq {
			return nil, nil, fmt.Errorf("letter %d has MODSEQ %v, and it had %d", r.number, value, m.modseq)
		}
		m.modseq = modseq
	}
	return m, items, nil
}

// ascending compares the UID of a letter with the next known ones on both sides.
func (v *view) ascending(n int) error {
	uid := v.messages[n].uid
	for i := n - 1; i >= 0; i-- {
		if before := v.messages[i].uid; before != 0 {
			if before >= uid {
				return fmt.Errorf("letter %d has UID %d, and letter %d has %d", n+1, uid, i+1, before)
			}
			break
		}
	}
	for i := n + 1; i < len(v.messages); i++ {
		if after := v.messages[i].uid; after != 0 {
			if after <= uid {
				return fmt.Errorf("letter %d has UID %d, and letter %d has %d", n+1, uid, i+1, after)
			}
			break
		}
	}
	return nil
}

// unknown are the sequence numbers of letters of which something is not known, as a
// set; empty when all is.
func (v *view) unknown() string {
	first := slices.IndexFunc(v.messages, func(m message) bool { return !m.known || m.flags == "?" })
	if first < 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", first+1, len(v.messages))
}

// picture is the view as text, to be compared.
func (v *view) picture() string {
	var b strings.Builder
	for n, m := range v.messages {
		fmt.Fprintf(&b, "%d UID %d (%s)\n", n+1, m.uid, m.flags)
	}
	return b.String()
}

// difference is the first line in which two pictures differ.
func difference(mine, fresh string) string {
	a, b := strings.Split(mine, "\n"), strings.Split(fresh, "\n")
	for i := range max(len(a), len(b)) {
		var one, two string
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			two = b[i]
		}
		if one != two {
			return fmt.Sprintf("it believes %q, a fresh client sees %q (%d and %d letters)", one, two, len(a)-1, len(b)-1)
		}
	}
	return ""
}

func number(value any) (uint64, error) {
	text, _ := value.(string)
	return strconv.ParseUint(text, 10, 64)
}

// pairs are the items of a FETCH response, by name in upper case.
func pairs(data list) (map[string]any, error) {
	if len(data) != 1 {
		return nil, fmt.Errorf("FETCH %v: no list", data)
	}
	inner, _ := data[0].(list)
	if len(inner)%2 != 0 {
		return nil, fmt.Errorf("FETCH %v: not pairs", data)
	}
	items := make(map[string]any)
	for i := 0; i < len(inner); i += 2 {
		name, _ := inner[i].(string)
		if name == "" {
			return nil, fmt.Errorf("FETCH %v: an item without name", data)
		}
		items[strings.ToUpper(name)] = inner[i+1]
	}
	return items, nil
}

func flagsOf(value any) (string, error) {
	inner, isList := value.(list)
	if !isList {
		return "", fmt.Errorf("FLAGS %v: no list", value)
	}
	set := make(map[string]bool)
	for _, one := range inner {
		flag, isText := one.(string)
		if !isText || set[strings.ToLower(flag)] {
			return "", fmt.Errorf("FLAGS %v", value)
		}
		if flag = strings.ToLower(flag); flag != `\recent` {
			set[flag] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " "), nil
}

// changed is what flags are after STORE with an operation.
func changed(flags, operation string, by []string) string {
	set := make(map[string]bool)
	if operation != "" {
		for _, flag := range strings.Fields(flags) {
			set[flag] = true
		}
	}
	for _, flag := range by {
		if flag = strings.ToLower(flag); operation == "-" {
			delete(set, flag)
		} else {
			set[flag] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

// numbers are the members of a set such as 3:5,9; there are at most a million.
func numbers(set string) (out []uint32, err error) {
	for part := range strings.SplitSeq(set, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("set %.60q", set)
		}
		b, err := strconv.ParseUint(last, 10, 32)
		if err != nil || a == 0 || b == 0 || max(a, b)-min(a, b) > 1e6 {
			return nil, fmt.Errorf("set %.60q", set)
		}
		for n := min(a, b); n <= max(a, b); n++ {
			out = append(out, uint32(n))
		}
	}
	return out, nil
}
