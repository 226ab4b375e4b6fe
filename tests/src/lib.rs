//! System tests: the whole running service, from the outside. All of it is in `it/`; this library is empty.
