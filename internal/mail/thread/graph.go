package thread

// graph is letters and the message-ids that they name, with who answers whom.
type graph struct {
	letters []Letter
	nodes   []node
	byID    map[string]int32
	// loops is how many steps may still be made to find out whether a link would
	// close a loop. References that are knotted on purpose make long ways; when all
	// steps are used up, links that would need more are left out.
	loops int
}

// node is a message-id. Letters come first, at their own index.
type node struct {
	parent int32 // none
	kids   int32 // how many have this as their parent
}

const none = -1

func newGraph(letters []Letter) *graph {
	g := &graph{letters: letters, nodes: make([]node, len(letters), 2*len(letters)), byID: make(map[string]int32, len(letters))}
	for i, l := range letters {
		g.nodes[i].parent = none
		if _, taken := g.byID[l.ID]; l.ID != "" && !taken {
			g.byID[l.ID] = int32(i) // a second letter of the same id has none
		}
		g.loops += len(l.References)
	}
	g.loops = 100 * (g.loops + len(letters))
	return g
}

// link is step 1 of REFERENCES: A ties together the ids that a letter names, B the
// letter to the last of them.
func (g *graph) link() {
	for i, l := range g.letters {
		last := int32(none)
		for _, id := range l.References {
			next := g.node(id)
			if last != none && g.nodes[next].parent == none {
				g.tie(last, next)
			}
			last = next
		}
		g.untie(int32(i)) // what others say of it counts less than what it says
		if last != none {
			g.tie(last, int32(i))
		}
	}
}

// node is that of an id, new if nobody named it before.
func (g *graph) node(id string) int32 {
	n, ok := g.byID[id]
	if !ok {
		n = int32(len(g.nodes))
		g.nodes = append(g.nodes, node{parent: none})
		g.byID[id] = n
	}
	return n
}

func (g *graph) tie(parent, child int32) {
	if g.closesLoop(parent, child) {
		return
	}
	g.nodes[child].parent = parent
	g.nodes[parent].kids++
}

func (g *graph) untie(child int32) {
	if p := g.nodes[child].parent; p != none {
		g.nodes[p].kids--
		g.nodes[child].parent = none
	}
}

// closesLoop: the parent is the child, or below it.
func (g *graph) closesLoop(parent, child int32) bool {
	if parent == child || g.nodes[child].kids == 0 {
		return parent == child
	}
	for n := parent; n != none; n = g.nodes[n].parent {
		if g.loops--; n == child || g.loops < 0 {
			return true
		}
	}
	return false
}

// forest is steps 2 and 3: what has no parent is a root; ids without a letter go,
// and their children take their place, unless that makes more than one root of one.
// Siblings are sorted, roots are not.
func (g *graph) forest() []*Thread {
	ts := make([]Thread, len(g.letters))
	for i, l := range g.letters {
		ts[i] = Thread{Number: l.Number, sent: l.Sent}
	}
	empty := map[int32]*Thread{} // roots that are no letters
	var roots []*Thread
	for i := range ts {
		switch above, root := g.above(int32(i)); {
		case above != none:
			ts[above].Children = append(ts[above].Children, &ts[i])
		case root == none:
			roots = append(roots, &ts[i])
		case empty[root] == nil:
			empty[root] = &Thread{Children: []*Thread{&ts[i]}}
			roots = append(roots, empty[root])
		default:
			empty[root].Children = append(empty[root].Children, &ts[i])
		}
	}
	for i := range ts {
		sortBySent(ts[i].Children)
	}
	for i, t := range roots {
		if t.Number == 0 && len(t.Children) == 1 {
			roots[i] = t.Children[0]
		}
	}
	return roots
}

// above is the nearest letter above, or the topmost id above that is no letter; none
// if nothing is. Ways over ids without letters are shortened as they are gone.
func (g *graph) above(i int32) (letter, root int32) {
	n, top := g.nodes[i].parent, int32(none)
	for n != none && int(n) >= len(g.letters) {
		top, n = n, g.nodes[n].parent
	}
	end := n
	if n == none {
		end = top
	}
	for m := g.nodes[i].parent; m != end && m != none && int(m) >= len(g.letters); {
		m, g.nodes[m].parent = g.nodes[m].parent, end
	}
	if n != none {
		return n, none
	}
	return none, top
}
