package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"facteur/internal/mail/archive"
	"facteur/internal/mail/content"
	"facteur/internal/mail/message"
)

func (c *command) mimeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "mime", Short: "Look into letters"}
	cmd.AddCommand(c.mimeShowCommand())
	return cmd
}

// shownLetter is a letter's content, with words for what is a number in it.
type shownLetter struct {
	*content.Letter
	Odd []string `json:"odd,omitempty"`
}

func (c *command) mimeShowCommand() *cobra.Command {
	cmd := c.withJSON(&cobra.Command{
		Use:   "show FILE",
		Short: "Show a letter in a file as the filter sees it",
		Long: "Show a letter in a file as the filter sees it; \"-\" is the standard input. It tells the text\n" +
			"that an eye sees and the text that is hidden from it, the links and where they really\n" +
			"lead, the files, also those in archives, with what they are by their content, the\n" +
			"languages, and where two programs would read the letter differently.\n\n" +
			"\"facteur autopsy\" tells where a letter came from and who vouches for it.\n\n" +
			"The exit status is 0, or 2 when the letter can't be read.",
		Args: takes("FILE"),
	})
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		l, err := c.readContent(args[0])
		if err != nil {
			return c.unjudged(err)
		}
		if c.json {
			return printJSON(c, shownLetter{l, l.Odd.Words()})
		}
		p := &page{out: c.out}
		tellContent(p, l)
		return p.err
	}
	return cmd
}

func (c *command) readContent(name string) (*content.Letter, error) {
	l, err := c.openLetter(name)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	info, err := l.Stat()
	if err != nil {
		return nil, err
	}
	root, err := message.Parse(io.NewSectionReader(l, 0, info.Size()), message.Limits{})
	if err != nil {
		return nil, err
	}
	return content.Read(l, root, l.header, content.Limits{}), nil
}

// tellContent writes all sections of a letter's content.
func tellContent(p *page, l *content.Letter) {
	p.heading("THE LETTER")
	p.line("  %-12s%s", "Subject", orDash(l.Subject))
	p.line("  %-12s%d", "Parts", l.Parts)
	var said []string
	for _, g := range l.Languages {
		said = append(said, fmt.Sprintf("%s (%.0f %%)", g.Code, 100*g.Share))
	}
	p.line("  %-12s%s", "Language", orDash(strings.Join(said, ", ")))
	p.line("  %-12s%s", "Charset", orDash(strings.Join(l.Charsets, ", ")))
	for _, odd := range l.Odd.Words() {
		p.line("  ! a part: %s", odd)
	}
	if l.Invisible+l.SubjectInvisible > 0 {
		p.line("  ! %d characters without width stand between letters", l.Invisible+l.SubjectInvisible)
	}
	if l.LeftOut > 0 {
		p.line("  ! %d parts, links and files more are not told", l.LeftOut)
	}
	tellText(p, "WHAT AN EYE SEES", l.Text)
	tellText(p, "WHAT PROGRAMS WITHOUT HTML SHOW", l.Other)
	tellText(p, "WHAT IS HIDDEN", l.Hidden)
	tellTargets(p, l.Links)
	tellFiles(p, l.Files)
	tellHTML(p, "ITS HTML", l.HTML)
	tellHTML(p, "WEB PAGES THAT ARE ATTACHED", l.Pages)
}

func tellText(p *page, title, text string) {
	if text == "" {
		return
	}
	p.heading(title)
	for line := range strings.Lines(text) {
		p.line("  %s", strings.TrimSuffix(line, "\n"))
	}
}

func tellTargets(p *page, links []content.Link) {
	if len(links) == 0 {
		return
	}
	p.heading("WHERE IT LEADS")
	for _, l := range links {
		p.line("  %-9s%s", l.Where, l.URL)
		if l.Host != "" && !strings.Contains(l.URL, l.Host) {
			p.line("           which is %s", l.Host)
		}
		if l.Shown != "" && l.Shown != l.URL {
			p.line("           shown as %q", l.Shown)
		}
		for _, trick := range l.Tricks.Words() {
			p.line("         ! it %s", trick)
		}
		if l.Elsewhere {
			p.line("         ! it appears only when the letter is read in another way")
		}
	}
}

func tellFiles(p *page, files []content.File) {
	if len(files) == 0 {
		return
	}
	p.heading("ITS FILES")
	for i := range files {
		f := &files[i]
		f.Walk(func(a *archive.File, within []*archive.File) { tellFile(p, a, f, len(within)) })
	}
}

// tellFile writes one, deep in others.
func tellFile(p *page, a *archive.File, of *content.File, deep int) {
	number := of.Part
	if deep > 0 {
		number = ""
	}
	indent := strings.Repeat("  ", deep)
	name := "without a name"
	if a.Name != "" {
		name = fmt.Sprintf("%q", a.Name)
	}
	p.line("  %-6s%s%s", number, indent, strings.Join(nonEmpty(name, string(a.Kind), a.Real, size(a.Size)), "  "))
	note := func(format string, args ...any) { p.line("      %s! %s", indent, fmt.Sprintf(format, args...)) }
	if a.Declared != "" && a.Declared != a.Real && a.Declared != "application/octet-stream" {
		p.line("      %s  the letter says: %s", indent, a.Declared)
	}
	if archive.Runs(a.Name) {
		note("by its name, a double click would run it")
	}
	if archive.Turned(a.Name) {
		note("its name turns the direction of reading")
	}
	if a.Macros {
		note("it carries macros")
	}
	if a.Encrypted {
		note("it is locked with a password, or something in it is")
	}
	for _, odd := range a.Odd {
		note("%s", odd)
	}
	if a.Trouble != "" {
		note("%s", a.Trouble)
	}
	if a.More > 0 {
		note("%d files more are in it", a.More)
	}
	if of.Elsewhere && deep == 0 {
		note("it appears only when the letter is read in another way")
	}
}

func tellHTML(p *page, title string, h content.HTML) {
	if h.Pages == 0 {
		return
	}
	p.heading(title)
	for _, f := range []struct {
		n    int
		what string
	}{
		{h.Seen, "characters that are seen"}, {h.Hidden, "that are hidden"}, {h.Tags, "tags"}, {h.Unknown, "of them such as no HTML has"},
		{h.Images, "pictures"}, {h.Remote, "of them fetched when the letter is opened"}, {h.Tiny, "of these too small to be seen"},
		{h.Forms, "forms"}, {h.Passwords, "fields for a password"}, {h.Scripts, "scripts"}, {h.Frames, "frames or objects"}, {h.Refresh, "orders to lead away"},
		{h.Split, "words split by tags"}, {h.Escaped, "letters written as numbers"},
	} {
		if f.n > 0 {
			p.line("  %6d  %s", f.n, f.what)
		}
	}
}
