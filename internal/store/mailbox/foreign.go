package mailbox

import (
	"io"
	"strings"

	"facteur/internal/store/maildir"
)

// This file reads Dovecot's files of a Maildir that is no account's here.

// ForeignUIDs reads a dovecot-uidlist of version 3, and
// gives each letter to each: its UID, the base of its file name and its unique-id of POP3
// or "". The bytes are valid during the call only.
func ForeignUIDs(r io.Reader, each func(uid uint32, base []byte, uidl []byte)) (validity, next uint32, err error) {
	l, err := parseList(r, func(uid uint32, fields, base []byte) { each(uid, base, uidlField(fields)) })
	return l.validity, l.next, err
}

// ForeignKeywords reads a dovecot-keywords: what the letters a–z mean in file names.
func ForeignKeywords(text string) [keywordLetters]string { return *parseKeywords(text) }

// ForeignWords are the keywords of a file name's flags.
func ForeignWords(flags string, names [keywordLetters]string) []string {
	return wordsOf(":2,"+flags, &names)
}

// ForeignFlags are the system flags of a file name's flags.
func ForeignFlags(flags string) SystemFlags { return flagsOf(":2," + flags) }

// ForeignSubscriptions reads a file of subscriptions, with "." or tabs between levels.
func ForeignSubscriptions(text string) []string { return parseSubscriptions(text) }

// parseSubscriptions reads the file of Dovecot and Courier: a folder's directory
// a line, without its first dot. Newer Dovecots write a header "V\t2" and tabs
// between levels; that is read too.
func parseSubscriptions(text string) (list []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line == "V\t2" {
			continue
		}
		line = strings.TrimPrefix(strings.ReplaceAll(line, "\t", "."), ".")
		name := "INBOX"
		if !strings.EqualFold(line, "INBOX") {
			var err error
			if name, err = maildir.FolderName("." + line); err != nil {
				continue
			}
		}
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}
