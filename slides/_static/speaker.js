// The speaker view begins with the layout that has most room for notes and still shows two slides.
// Who chooses another one keeps it: the view stores the choice under this name.
localStorage["reveal-speaker-layout"] ||= "tall";
