package thread

// joinSubjects is step 5 of REFERENCES: threads of one subject become one. The roots
// are sorted.
func (g *graph) joinSubjects(roots []*Thread) []*Thread {
	said := make(map[uint32]*Letter, len(g.letters))
	for i := range g.letters {
		said[g.letters[i].Number] = &g.letters[i]
	}
	about := func(t *Thread) *Letter { return said[t.first()] }
	reply := func(t *Thread) bool { return t.Number > 0 && about(t).Reply }
	table := make(map[string]*Thread, len(roots))
	for _, t := range roots {
		subject := about(t).Subject
		if old := table[subject]; subject != "" && (old == nil || old.Number > 0 && (t.Number == 0 || reply(old) && !reply(t))) {
			table[subject] = t
		}
	}
	gone := map[*Thread]bool{}
	var added []*Thread
	for _, t := range roots {
		subject := about(t).Subject
		into := table[subject]
		switch {
		case subject == "" || into == t:
			continue
		case into.Number == 0 && t.Number == 0:
			into.Children = append(into.Children, t.Children...)
		case into.Number == 0 || reply(t) && !reply(into):
			into.Children = append(into.Children, t)
		default:
			both := &Thread{Children: []*Thread{into, t}}
			table[subject] = both
			added = append(added, both)
			gone[into] = true
		}
		gone[t] = true
	}
	kept := roots[:0]
	for _, t := range append(roots, added...) {
		if !gone[t] {
			kept = append(kept, t)
		}
	}
	return kept
}
