"""Privacy: what identifies a person is removed before anything of a case is stored."""
