package maildir

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Name is what the name of a letter's file says.
type Name struct {
	// Base is everything before the ":": it names the letter as long as the
	// file exists, while flags and the directory may change.
	Base string
	// Flags are the letters after ":2,", in the order and with the garbage in
	// which they stand.
	Flags string
	// Sec is the time of arrival in seconds since 1970; 0 if the name has none.
	Sec int64
	// Size is the file's size (S=), VSize its size with CRLF line ends (W=), in
	// bytes; -1 where the name doesn't say.
	Size, VSize int64
}

// ParseName reads a file name. It never fails: what it cannot read, it leaves
// at its zero, so that letters of every program keep a place.
func ParseName(file string) Name {
	n := Name{Base: file, Size: -1, VSize: -1}
	if i := strings.IndexByte(file, ':'); i >= 0 {
		n.Base = file[:i]
		if strings.HasPrefix(file[i:], ":2,") {
			n.Flags = file[i+3:]
		}
	}
	n.Sec = leadingSeconds(n.Base)
	for rest := n.Base; ; {
		i := strings.IndexByte(rest, ',')
		if i < 0 {
			return n
		}
		rest = rest[i+1:]
		field, _, _ := strings.Cut(rest, ",")
		if v, ok := strings.CutPrefix(field, "S="); ok {
			n.Size = number(v)
		} else if v, ok := strings.CutPrefix(field, "W="); ok {
			n.VSize = number(v)
		}
	}
}

// leadingSeconds reads the digits in front of the first dot. More than eleven
// digits are no seconds.
func leadingSeconds(base string) int64 {
	digits, _, ok := strings.Cut(base, ".")
	if !ok || len(digits) > 11 {
		return 0
	}
	return max(number(digits), 0)
}

// number reads a decimal without sign; -1 if it is none or absurd.
func number(s string) int64 {
	if s == "" || len(s) > 15 {
		return -1
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// String is the file name: base, ":2," and flags. A letter in new/ has no
// flags and is named by Base alone.
func (n Name) String() string { return n.Base + ":2," + n.Flags }

// Known flags of a Maildir file name.
const (
	FlagDraft    = 'D'
	FlagFlagged  = 'F'
	FlagPassed   = 'P'
	FlagReplied  = 'R'
	FlagSeen     = 'S'
	FlagTrashed  = 'T'
	ownFlags     = "DFRST" // those that SetFlags changes
	flagsInASCII = 128
)

// SetFlags gives flags with exactly those of own ("DFRST") that want has, and
// everything else that flags had (P, Dovecot's keyword letters a–z, garbage),
// sorted as Maildir asks, each once.
func SetFlags(flags, want string) string {
	var have [flagsInASCII]bool
	for _, c := range []byte(flags) {
		if c < flagsInASCII && c > ' ' && !strings.ContainsRune(ownFlags, rune(c)) {
			have[c] = true
		}
	}
	for _, c := range []byte(want) {
		have[c&(flagsInASCII-1)] = true
	}
	var out strings.Builder
	for c, yes := range have {
		if yes && c != '/' && c != ':' {
			out.WriteByte(byte(c))
		}
	}
	return out.String()
}

// DeliveredHere ends the base names of DeliveryName.
const DeliveredHere = ".facteur"

// DeliveryName is the deterministic base name of a letter on its way from the
// queue: the same for every try to deliver the item id to its n-th recipient. It
// depends on nothing that an admin can change, such as the name of the server: a
// letter that a crash left in tmp under another name would be taken for landed.
func DeliveryName(id string, n int, arrived time.Time) string {
	return fmt.Sprintf("%d.M%06dQ%sR%d%s", max(arrived.Unix(), 0), arrived.Nanosecond()/1000, clean(id), n, DeliveredHere)
}

// FreshName is a base name for a letter that comes another way. unique is to
// differ for every call of this host within a second.
func FreshName(received time.Time, unique, host string) string {
	return fmt.Sprintf("%d.%s.%s", max(received.Unix(), 0), clean(unique), clean(host))
}

// Sized adds the sizes to a base name.
func Sized(base string, s Size) string {
	return base + ",S=" + strconv.FormatInt(s.Bytes, 10) + ",W=" + strconv.FormatInt(s.CRLF, 10)
}

func clean(s string) string { return unclean.Replace(s) }

// unclean is what must not stand in a file name; never changed.
var unclean = strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`, "\x00", "")
