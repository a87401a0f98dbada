package letter

import (
	"path"
	"strings"
	"unicode"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/message"
)

// Action is what follows on a sort of file.
type Action string

// The actions.
const (
	Pass  Action = "pass"  // nothing
	Score Action = "score" // it is evidence
	Ban   Action = "ban"   // the letter is of the category banned
)

// Attachments are the rules for files.
type Attachments struct {
	// Programs are files that a double click runs.
	Programs Action
	// Macros are documents that carry some, Encrypted files locked with a password,
	// Unscannable such as can't be looked through.
	Macros, Encrypted, Unscannable Action
	// Names are patterns of names that are banned ("*.iso", "setup*"), Types media types
	// by content ("application/x-msi", "video/*").
	Names, Types []string
	// Allow are patterns of names that are not banned as programs.
	Allow []string
}

// DefaultAttachments are the rules where nothing is set.
func DefaultAttachments() *Attachments {
	return &Attachments{Programs: Ban, Macros: Score, Encrypted: Score, Unscannable: Score}
}

// matches tells whether a name fits one of the patterns, without regard to case.
func matches(patterns []string, name string) bool {
	name = strings.ToLower(message.SafeFileName(name))
	for _, p := range patterns {
		if ok, err := path.Match(strings.ToLower(p), name); ok && err == nil {
			return true
		}
	}
	return false
}

// Fault says what is wrong with a pattern; "" if nothing.
func Fault(pattern string) string {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return "is no pattern such as \"*.iso\""
	}
	return ""
}

// attachments looks at every file, those in archives too.
func (v *view) attachments(rules *Attachments, n *notes) {
	for i := range v.content.Files {
		file := &v.content.Files[i]
		file.Walk(func(f *archive.File, within []*archive.File) {
			s := sight{File: f, rules: rules, notes: n, what: describe(f, within), elsewhere: file.Elsewhere, document: inDocument(within)}
			s.look()
		})
	}
	v.pages(n)
}

// describe names a file in a sentence.
func describe(f *archive.File, within []*archive.File) string {
	name := quote(f.Name)
	if f.Name == "" {
		name = "without a name"
	}
	if len(within) > 0 && within[0].Name != "" {
		return name + " in " + quote(within[0].Name)
	}
	return name
}

func inDocument(within []*archive.File) bool {
	return len(within) > 0 && within[len(within)-1].Kind == archive.Document
}

// sight is one file that is looked at.
type sight struct {
	*archive.File
	rules     *Attachments
	notes     *notes
	what      string
	elsewhere bool
	document  bool // it is in one
}

func (s *sight) look() {
	s.listed()
	if runs := s.runs(); runs != "" {
		s.program(runs)
	} else {
		s.disguise()
	}
	if s.Macros || archive.MacroName(s.Name) && s.Kind == archive.Document {
		s.act(s.rules.Macros, fileMacros, bannedMacros, "The document %s carries macros.", s.what)
	}
	if s.Encrypted && len(s.Inside) == 0 {
		s.act(s.rules.Encrypted, fileEncrypted, bannedEncrypted, "The file %s is locked with a password: nobody could look into it.", s.what)
	}
	if s.Trouble != "" {
		s.act(s.rules.Unscannable, fileUnscanned, bannedUnscanned, "The file %s could not be looked through: %s.", s.what, plainText(s.Trouble))
	}
	for _, odd := range s.Odd {
		if s.Kind == archive.Packed {
			s.notes.add(fileLies, 1, "The archive %s can be read in two ways: %s.", s.what, odd)
		} else if s.Kind == archive.Document && odd != "it carries a file of another program" && odd != "the document carries a file" {
			s.notes.add(fileActive, 1, "The document %s does something when it is opened: %s.", s.what, odd)
		}
	}
}

// act does what the rules want.
func (s *sight) act(a Action, score, ban Symbol, format string, args ...any) {
	switch a {
	case Ban:
		s.notes.add(ban, 1, format, args...)
	case Pass:
	default:
		s.notes.add(score, 1, format, args...)
	}
}

// listed looks for what the admin has banned by name or type.
func (s *sight) listed() {
	if s.Name != "" && matches(s.rules.Names, s.Name) {
		s.notes.add(bannedName, 1, "The file %s has a name that is not taken here.", s.what)
	}
	for _, t := range s.rules.Types {
		if ok, err := path.Match(strings.ToLower(t), s.Real); ok && err == nil {
			s.notes.add(bannedName, 1, "The file %s is of a type that is not taken here: %s.", s.what, s.Real)
		}
	}
}

// runs says what of a file is run by a double click; "" if nothing is.
func (s *sight) runs() string {
	if unixScript(s.Name) && (s.Kind == archive.Script || s.Kind == archive.Text) || s.Kind == archive.Script && !archive.Runs(s.Name) && archive.Extension(s.Name) != "" {
		return "unix"
	}
	switch s.Kind {
	case archive.Program, archive.Installer, archive.Shortcut, archive.Disk:
		return string(s.Kind)
	case archive.Script:
		return "script"
	}
	if archive.Runs(s.Name) {
		return "name"
	}
	return ""
}

// unixScript tells scripts that people send each other, and that nobody runs by a click.
func unixScript(name string) bool {
	switch archive.Extension(name) {
	case ".sh", ".bash", ".csh", ".py", ".pl", ".rb":
		return true
	}
	return false
}

// program judges what would be run.
func (s *sight) program(why string) {
	if s.elsewhere {
		s.notes.add(fileElsewhere, 1, "The file %s, which would be run, appears only when the letter is read in another way than usual.", s.what)
	}
	if why == "unix" {
		s.act(softer(s.rules.Programs), fileScript, bannedScript, "The file %s is a script.", s.what)
		return
	}
	if s.rules.Programs != Ban || matches(s.rules.Allow, s.Name) && s.Name != "" {
		s.act(softer(s.rules.Programs), fileProgram, bannedProgram, "The file %s would be run when it is opened.", s.what)
		return
	}
	switch {
	case archive.TwoFaced(s.Name):
		s.notes.add(bannedTwoFaced, 1, "The file %s looks like a document by its name, and would be run.", s.what)
	case archive.Turned(s.Name):
		s.notes.add(bannedTurned, 1, "The file %s has a name that is shown with another end than it has, and would be run.", s.what)
	case why == "script":
		s.notes.add(bannedScript, 1, "The file %s is a script, and would be run when it is opened.", s.what)
	case why == "name":
		s.notes.add(bannedProgram, 1, "The file %s would be run when it is opened, as its name says.", s.what)
	default:
		s.notes.add(bannedProgram, 1, "The file %s is a %s (%s) by its content.", s.what, why, s.Real)
	}
	if !archive.Runs(s.Name) && s.Name != "" {
		s.notes.add(fileMismatch, 1, "The file %s is called something else than the %s that it is.", s.what, s.Kind)
	}
}

// softer is what counts for a program that is not banned.
func softer(a Action) Action {
	if a == Pass {
		return Pass
	}
	return Score
}

// disguise finds names that say something else than what the file is.
func (s *sight) disguise() {
	if archive.Turned(s.Name) {
		s.notes.add(fileTurned, 1, "The name of the file %s turns the direction of reading.", s.what)
	}
	if s.document || s.Kind == archive.Other {
		return
	}
	wrong := false
	switch archive.Extension(s.Name) {
	case ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff":
		wrong = s.Kind == archive.Page && s.Real != "image/svg+xml" || s.Kind == archive.Packed
	case ".pdf":
		wrong = s.Kind == archive.Page || s.Kind == archive.Packed
	case ".txt", ".csv":
		wrong = s.Kind == archive.Packed
	case ".docx", ".xlsx", ".pptx":
		wrong = s.Kind == archive.Page
	default:
		if s.Kind == archive.Page && archive.PageTwoFaced(s.Name) {
			s.notes.add(fileMismatch, 1, "The file %s looks like a document by its name, and is a web page.", s.what)
		}
	}
	if wrong {
		s.notes.add(fileMismatch, 1, "The file %s is no %s but a %s (%s).", s.what, archive.Extension(s.Name), s.Kind, s.Real)
	}
}

// pages looks at web pages that are attached: where phishing asks for passwords now that
// letters can't.
func (v *view) pages(n *notes) {
	p := &v.content.Pages
	switch {
	case p.Passwords > 0:
		n.add(filePassword, 1, "A web page that is attached asks for a password.")
	case p.Scripts > 0 || p.Refresh > 0:
		n.add(fileScripted, 1, "A web page that is attached runs scripts, or leads elsewhere by itself.")
	}
}

// plainText is a stranger's text without what moves on a screen.
func plainText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '"' {
			return '\''
		}
		if !unicode.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	return s
}
