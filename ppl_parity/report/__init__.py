"""What a person looks at: tables, plots and pages. Import the modules; nothing is loaded here."""
