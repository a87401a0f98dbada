package config

import (
	"facteur/internal/flow/filter/letter"
)

// Attachments is which files in letters are taken, those in archives too. What is banned
// makes the letter one of the category "banned"; what becomes of that, [filter] and
// [[filter_policy]] say. See docs/FILTER.md.
type Attachments struct {
	// Files that a double click runs, by what they are or by their name: programs, scripts
	// of Windows, installers, shortcuts, disk images. "ban", "score" (evidence beside
	// others) or "pass".
	Programs AttachmentAction `toml:"programs"`
	// Documents with macros: "ban", "score" or "pass".
	Macros AttachmentAction `toml:"macros"`
	// Archives and documents that are locked with a password: "ban", "score" or "pass".
	Encrypted AttachmentAction `toml:"encrypted"`
	// Files that can't be looked through, because they are damaged, nested too deep or
	// unpack to too much: "ban" or "score".
	Unscannable AttachmentAction `toml:"unscannable"`
	// Patterns of names that are banned besides, without regard to case: "*.one", "*.iso".
	// "*" is any characters, "?" is one.
	BannedNames []string `toml:"banned_names"`
	// Types that are banned besides, by content and not by what the letter says:
	// "application/x-ole-storage", "video/*".
	BannedTypes []string `toml:"banned_types"`
	// Patterns of names that are not banned as programs, and count as evidence only.
	AllowedNames []string `toml:"allowed_names"`
}

func defaultAttachments() Attachments {
	d := letter.DefaultAttachments()
	return Attachments{Programs: AttachmentAction(d.Programs), Macros: AttachmentAction(d.Macros), Encrypted: AttachmentAction(d.Encrypted), Unscannable: AttachmentAction(d.Unscannable)}
}

// Rules are the settings as the filter goes by them.
func (a *Attachments) Rules() *letter.Attachments {
	return &letter.Attachments{Programs: letter.Action(a.Programs), Macros: letter.Action(a.Macros), Encrypted: letter.Action(a.Encrypted), Unscannable: letter.Action(a.Unscannable),
		Names: a.BannedNames, Types: a.BannedTypes, Allow: a.AllowedNames}
}

// AttachmentAction is what follows on a sort of file.
type AttachmentAction letter.Action

// Form says what may be written.
func (AttachmentAction) Form() string { return oneOf(attachmentActions()...) }

// UnmarshalText takes one of the choices.
func (a *AttachmentAction) UnmarshalText(text []byte) error {
	return choose(a, text, attachmentActions()...)
}

func attachmentActions() []AttachmentAction {
	return []AttachmentAction{AttachmentAction(letter.Ban), AttachmentAction(letter.Score), AttachmentAction(letter.Pass)}
}

func (k *checker) attachments() {
	a := &k.c.Attachments
	for key, list := range map[string][]string{"attachments.banned_names": a.BannedNames, "attachments.banned_types": a.BannedTypes, "attachments.allowed_names": a.AllowedNames} {
		for _, pattern := range list {
			if fault := letter.Fault(pattern); fault != "" {
				k.failf(key, "%q %s", pattern, fault)
			}
		}
	}
	if a.Unscannable == AttachmentAction(letter.Pass) {
		k.failf("attachments.unscannable", `is "pass", with which any program could be sent in a damaged archive; expected "score" or "ban"`)
	}
}
