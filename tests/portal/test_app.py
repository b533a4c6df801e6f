def test_every_page_opens(pages):
    assert len(pages) > 40
