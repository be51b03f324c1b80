//! Yew and canvas.
