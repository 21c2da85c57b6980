package store

import "context"

// Versioner is a store that tells a document's version to who may not read the
// document. What writes keys needs it after an answer that was lost.
type Versioner interface {
	// Version returns the number of the newest version as check-and-set counts
	// it, so also when that version is deleted or destroyed: the next [Store.Put]
	// gives it as cas. It is an [ErrNotFound] when the store knows nothing of the
	// document, and then the next cas is 0.
	Version(ctx context.Context, a Address) (int, error)
}
