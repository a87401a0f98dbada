package mailbox

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"facteur/internal/base/vfs"
)

const (
	keywordFile    = "dovecot-keywords" // beside the list of UIDs
	maxKeywordFile = 64 << 10           // bytes
	keywordLetters = 26                 // Dovecot has a–z in file names
)

// addWords gives letters that are new to the index the keywords that Dovecot
// keeps as small letters in file names.
func (b *box) addWords(ctx context.Context, arrivals []arrival) error {
	var names *[keywordLetters]string
	for i := range arrivals {
		x := &arrivals[i]
		if strings.IndexFunc(x.info, isKeywordLetter) < 0 {
			continue
		}
		if names == nil {
			var err error
			if names, err = b.dovecotKeywords(); err != nil {
				return err
			}
		}
		numbers, err := b.keywordNumbers(ctx, wordsOf(x.info, names), true)
		if errors.Is(err, ErrLimit) {
			continue
		}
		if err != nil {
			return err
		}
		x.words = b.set(combineWords(FlagsSet, "", numbers))
	}
	return nil
}

func isKeywordLetter(c rune) bool { return c >= 'a' && c <= 'z' }

// wordsOf reads the keywords from what follows the base of a file name.
func wordsOf(info string, names *[keywordLetters]string) (words []string) {
	flags, _ := strings.CutPrefix(info, ":2,")
	if flags == info {
		return nil
	}
	for _, c := range flags {
		if isKeywordLetter(c) && names[c-'a'] != "" {
			words = append(words, names[c-'a'])
		}
	}
	return words
}

// dovecotKeywords reads what the letters mean in this mailbox.
func (b *box) dovecotKeywords() (*[keywordLetters]string, error) {
	path := b.dir.Path + "/" + keywordFile
	if info, err := b.dir.FS.Stat(path); err == nil && !info.Mode.IsRegular() {
		return new([keywordLetters]string), nil
	}
	data, err := vfs.ReadFile(b.dir.FS, path, maxKeywordFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseKeywords(string(data)), nil
}

// parseKeywords reads lines "<number> <name>". What is no keyword of IMAP (an
// atom, RFC 9051 §9) is passed over.
func parseKeywords(text string) *[keywordLetters]string {
	names := new([keywordLetters]string)
	for line := range strings.Lines(text) {
		digits, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		n := int(digitsOf(digits))
		if n >= 0 && n < keywordLetters && isAtom(name) && len(name) <= maxKeywordSize {
			names[n] = name
		}
	}
	return names
}

// digitsOf reads the number of a keyword; -1 if it is none.
func digitsOf(s string) int64 {
	if s == "0" {
		return 0
	}
	if n := listNumber(s); n > 0 {
		return int64(n)
	}
	return -1
}

func isAtom(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
