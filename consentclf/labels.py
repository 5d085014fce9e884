"""The four labels, their order and what they mean in one line each."""

from __future__ import annotations

ARTICLE = "article"
BANNER = "banner"
CONSENT = "consent"
NAVIGATION = "navigation"

#: In alphabetical order, as scikit-learn sorts ``classes_``. Columns of every score array follow it.
LABELS: tuple[str, ...] = (ARTICLE, BANNER, CONSENT, NAVIGATION)

MEANING: dict[str, str] = {
    ARTICLE: "what the page exists to deliver: body text, headlines, captions, lists, readers' comments",
    BANNER: "promotional or interrupting inserts: newsletter, paywall, app, ad-block and donation calls",
    CONSENT: "the site's own notice on cookies, trackers and personal data, buttons and policy included",
    NAVIGATION: "menus, teasers of other pages, share bars, bylines, footers, widgets",
}
