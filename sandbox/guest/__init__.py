"""What runs inside the container, as the package `guest`. Standard library only; imports nothing outside itself."""
