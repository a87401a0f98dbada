package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"facteur/internal/base/vfs"
)

// The bounds of METADATA (ATTACKS IMAP-011).
const (
	// MaxAnnotation is the most bytes of a value.
	MaxAnnotation = 64 << 10
	// maxAnnotations is how many one mailbox, or the account itself, may have.
	maxAnnotations = 1000
	// maxAnnotationName is the longest name of an entry.
	maxAnnotationName = 500
	// maxMetadata is the most bytes of names and values that an account keeps.
	maxMetadata = 4 << 20

	metadataFile   = "facteur-metadata"
	accountFile    = "facteur-metadata-account"
	specialUseNote = "/private/specialuse"
)

// The errors of METADATA, beside ErrNoMailbox.
var (
	ErrTooManyNotes = errors.New("too many annotations")
	ErrNoteTooLong  = errors.New("annotation too long")
	ErrNoteName     = errors.New("an annotation can't have this name")
)

// Annotation is an entry of METADATA (RFC 5464): its name in lower case, which
// begins with /private/ or /shared/, and its value. A nil Value is no entry.
type Annotation struct {
	Entry string
	Value []byte
}

// noteKey is whose entry it is: "" for shared ones, else the key of an address.
type noteKey struct{ user, entry string }

// notes are the annotations of a mailbox, or of the account itself, as the file
// has them. A line is the key of the user or "-", the entry, and the value as a
// quoted string.
type notes struct {
	mu     sync.Mutex
	read   bool
	values map[noteKey]string
	last   []noteKey // of entries that changed lately
}

func (n *notes) load(f vfs.FS, path string) error {
	if n.read {
		return nil
	}
	data, err := vfs.ReadFile(f, path, 4*maxMetadata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n.values = parseNotes(string(data))
	n.read = true
	return nil
}

func parseNotes(text string) map[noteKey]string {
	var out map[noteKey]string // nil for most mailboxes
	for line := range strings.Lines(text) {
		user, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		entry, quoted, ok := strings.Cut(rest, " ")
		value, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			continue
		}
		if out == nil {
			out = map[noteKey]string{}
		}
		out[noteKey{unescapeUser.Replace(strings.TrimPrefix(user, "-")), entry}] = value
	}
	return out
}

// A local part can have blanks, and begin with "-".
var (
	escapeUser   = strings.NewReplacer("%", "%25", " ", "%20", "-", "%2D")
	unescapeUser = strings.NewReplacer("%2D", "-", "%20", " ", "%25", "%")
)

func writeNotes(values map[noteKey]string) string {
	lines := make([]string, 0, len(values))
	for k, v := range values {
		user := escapeUser.Replace(k.user)
		if user == "" {
			user = "-"
		}
		lines = append(lines, user+" "+k.entry+" "+strconv.Quote(v)+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// bytes is what the values count.
func (n *notes) bytes() (sum int) {
	for k, v := range n.values {
		sum += len(k.entry) + len(v)
	}
	return sum
}

// CheckEntry says whether an entry may have this name, which is in lower case
// (RFC 5464 §3.2): visible ASCII in levels behind "/private" or "/shared".
func CheckEntry(entry string) error {
	levels := strings.Split(entry, "/")
	if len(entry) > maxAnnotationName || len(levels) < 3 || levels[0] != "" || levels[1] != "private" && levels[1] != "shared" {
		return ErrNoteName
	}
	for i := range len(entry) {
		if c := entry[i]; c <= ' ' || c >= 0x7f || c == '*' || c == '%' {
			return ErrNoteName
		}
	}
	if slices.Contains(levels[1:], "") {
		return ErrNoteName
	}
	return nil
}

func keyOf(user, entry string) noteKey {
	if strings.HasPrefix(entry, "/shared/") {
		user = ""
	}
	return noteKey{user, entry}
}

// notesOf is the annotations of a mailbox, or with the name "" of the account.
func (a *Account) notesOf(ctx context.Context, name string) (*notes, string, *box, error) {
	if name == "" {
		return &a.notes, filepath.Join(a.root, accountFile), nil, nil
	}
	b, err := a.at(ctx, name)
	if err != nil {
		return nil, "", nil, err
	}
	return &b.notes, b.notesPath(), b, nil
}

func (b *box) notesPath() string { return filepath.Join(b.dir.Path, metadataFile) }

// Annotations is what a user sees of a mailbox ("": of the account): what is shared
// and what is his, sorted.
func (a *Account) Annotations(ctx context.Context, name string, s Subject) ([]Annotation, error) {
	n, path, b, err := a.notesOf(ctx, name)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.load(a.fs, path); err != nil {
		return nil, err
	}
	var out []Annotation
	user, use := accountKey(s.Address), ""
	if b != nil && s.Owner {
		use = b.givenUse()
	}
	for k, v := range n.values {
		if (k.user == "" || k.user == user) && k.entry != specialUseNote {
			out = append(out, Annotation{k.entry, []byte(v)})
		}
	}
	if use != "" {
		out = append(out, Annotation{specialUseNote, []byte(use)})
	}
	slices.SortFunc(out, func(x, y Annotation) int { return strings.Compare(x.Entry, y.Entry) })
	return out, nil
}

// Annotate sets entries of a mailbox or of the account, all or none of them, and
// removes those without a value. They are durable when it returns.
func (a *Account) Annotate(ctx context.Context, name string, s Subject, list []Annotation) error {
	n, path, b, err := a.notesOf(ctx, name)
	if err != nil {
		return err
	}
	others, err := a.metadataBytes(ctx, n)
	if err != nil {
		return err
	}
	if err := n.change(a.fs, path, others, func(values map[noteKey]string) error {
		return annotate(values, s, list, b)
	}); err != nil {
		return err
	}
	n.remember(s, list)
	a.Announce(name, NoticeMetadata)
	return nil
}

// change writes what fn makes of the entries; others is the bytes that the account
// keeps elsewhere.
func (n *notes) change(f vfs.FS, path string, others int, fn func(map[noteKey]string) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.load(f, path); err != nil {
		return err
	}
	next := notes{values: make(map[noteKey]string, len(n.values)+1)}
	for k, v := range n.values {
		next.values[k] = v
	}
	if err := fn(next.values); err != nil {
		return err
	}
	if grown := next.bytes(); len(next.values) > maxAnnotations || grown > n.bytes() && others+grown > maxMetadata {
		return ErrTooManyNotes
	}
	if err := vfs.WriteFile(f, path, []byte(writeNotes(next.values)), 0o600); err != nil {
		return err
	}
	n.values = next.values
	return nil
}

func annotate(values map[noteKey]string, s Subject, list []Annotation, b *box) error {
	user := accountKey(s.Address)
	for _, one := range list {
		switch err := CheckEntry(one.Entry); {
		case err != nil:
			return err
		case len(one.Value) > MaxAnnotation:
			return ErrNoteTooLong
		case one.Entry == specialUseNote && !s.Owner:
			return ErrUse // the owner's programs go by it
		case one.Entry == specialUseNote:
			if err := setUse(values, one.Value, b); err != nil {
				return err
			}
		case one.Value == nil:
			delete(values, keyOf(user, one.Entry))
		default:
			values[keyOf(user, one.Entry)] = string(one.Value)
		}
	}
	return nil
}

// maxLast is how many names of changed entries are kept for who watches.
const maxLast = 20

func (n *notes) remember(s Subject, list []Annotation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	user := accountKey(s.Address)
	for _, one := range list {
		if k := keyOf(user, one.Entry); !slices.Contains(n.last, k) {
			n.last = append(n.last, k)
		}
	}
	n.last = n.last[max(0, len(n.last)-maxLast):]
}

// ChangedEntries are the names of entries that were changed lately, of a mailbox or of
// the account: shared ones and the user's own.
func (a *Account) ChangedEntries(ctx context.Context, name string, s Subject) (names []string, err error) {
	n, _, _, err := a.notesOf(ctx, name)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	user := accountKey(s.Address)
	for _, k := range n.last {
		if k.user == "" || k.user == user {
			names = append(names, k.entry)
		}
	}
	return names, nil
}

// metadataBytes is what the account's annotations count, but for one mailbox's.
func (a *Account) metadataBytes(ctx context.Context, but *notes) (int, error) {
	boxes, err := a.all(ctx)
	if err != nil {
		return 0, err
	}
	sum, err := a.notes.count(a.fs, filepath.Join(a.root, accountFile), but)
	for _, b := range boxes {
		n, e := b.notes.count(a.fs, b.notesPath(), but)
		sum, err = sum+n, errors.Join(err, e)
	}
	return sum, err
}

func (n *notes) count(f vfs.FS, path string, but *notes) (int, error) {
	if n == but {
		return 0, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.load(f, path)
	return n.bytes(), err
}
